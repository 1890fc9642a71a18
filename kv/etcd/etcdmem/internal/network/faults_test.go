package network_test

import (
	"bytes"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestSwallowedBytesArriveWhenTheNetworkIsMended(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.To(member).Swallow()
		w.send(client, "one ")
		w.send(client, "two")
		w.send(server, "three")
		client.Close()
		w.silent(server, time.Minute)
		w.To(member).Mend()
		w.receive(server, "one two")
		if err := readError(server); err != nil {
			t.Errorf("the end of the connection is %v", err)
		}
	})
}

func TestRequestsOrAnswersAloneCanBeSwallowed(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.To(member).SwallowRequests()
		w.send(client, "request")
		w.send(server, "answer")
		w.receive(client, "answer")
		w.silent(server, time.Minute)
		w.To(member).Mend()
		w.receive(server, "request")

		w.To(member).SwallowAnswers()
		w.send(client, "request")
		w.send(server, "answer")
		w.receive(server, "request")
		w.silent(client, time.Minute)
		w.To(member).Mend()
		w.receive(client, "answer")
	})
}

// Without acknowledgements, no more bytes than a window pass.
func TestOneDirectionAloneCarriesOnlyAWindow(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.To(member).SwallowAnswers()
		go client.Write(make([]byte, 1<<20))
		server.SetReadDeadline(time.Now().Add(time.Minute))
		if got, err := io.ReadAll(server); len(got) != 64<<10 || !isTimeout(err) {
			t.Errorf("%d bytes came through, %v; want 64 KiB", len(got), err)
		}
		server.SetReadDeadline(time.Time{})
		w.To(member).Mend()
		if _, err := io.ReadFull(server, make([]byte, 1<<20-64<<10)); err != nil {
			t.Errorf("the rest did not come: %v", err)
		}
	})
}

func TestArrivedBytesAreReadAfterTheNetworkIsGone(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.send(client, "arrived")
		w.To(member).Swallow()
		w.receive(server, "arrived")
	})
}

func TestAKernelGivesUpAConnectionWithoutAcknowledgements(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.To(member).Swallow()
		began := time.Now()
		w.send(client, "hello?")
		err := readError(client)
		w.fails(err, "read tcp "+ends+": read: connection timed out", syscall.ETIMEDOUT)
		if took := time.Since(began); took < 15*time.Minute || took > 16*time.Minute {
			t.Errorf("TCP gave up after %v; want a quarter of an hour", took)
		}
		w.To(member).Mend()
		w.receive(server, "hello?") // the bytes were sent before the fault was mended, and arrive first
		w.send(server, "who is there?")
		_, err = server.Write([]byte("nobody"))
		w.fails(err, "write tcp 10.0.0.1:2379->10.1.0.1:32769: write: broken pipe", syscall.EPIPE)
	})
}

func TestAnIdleConnectionSurvivesSilence(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.To(member).Swallow()
		w.silent(client, 24*time.Hour)
		w.To(member).Mend()
		w.send(client, "good morning")
		w.receive(server, "good morning")
	})
}

func TestForgottenConnectionsStaySilentAndNewOnesWork(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.To(member).Forget()
		w.send(client, "request")
		w.silent(server, time.Minute)
		w.To(member).Mend()
		w.silent(server, time.Minute)
		client.Close()
		w.silent(server, time.Minute)

		client, server = w.connect()
		w.send(client, "request")
		w.receive(server, "request")
	})
}

func TestAResetIsSeenAtBothEnds(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.send(client, "lost")
		w.To(member).Reset()
		w.fails(readError(client), "read tcp "+ends+": read: connection reset by peer", syscall.ECONNRESET)
		_, err := server.Write([]byte("lost"))
		w.fails(err, "write tcp 10.0.0.1:2379->10.1.0.1:32769: write: connection reset by peer", syscall.ECONNRESET)
		w.fails(readError(server), "read tcp 10.0.0.1:2379->10.1.0.1:32769: read: connection reset by peer", syscall.ECONNRESET)
		if n := w.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		w.connect()
	})
}

func TestAFaultOfOneClientAffectsNoOther(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.Between("another", member).Swallow()
		w.send(client, "request")
		w.receive(server, "request")
		w.Between("app", member).Swallow()
		w.send(client, "request")
		w.silent(server, time.Minute)
		w.To(member).Mend()
		w.receive(server, "request")
	})
}

func TestADelayIsThatOfEachByte(t *testing.T) {
	inBubble(t, func(w *world) {
		w.To(member).Delay(50*time.Millisecond, 0)
		began := time.Now()
		client, server := w.connect()
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("a connection took %v; want 100ms", took)
		}
		began = time.Now()
		w.send(client, "a")
		time.Sleep(10 * time.Millisecond)
		w.send(client, "b")
		w.receive(server, "a")
		w.receive(server, "b")
		if took := time.Since(began); took != 60*time.Millisecond {
			t.Errorf("the second byte arrived after %v; want 60ms", took)
		}
	})
}

func TestJitterIsTheSameForTheSameSeedAndKeepsTheOrder(t *testing.T) {
	times := func() (all []time.Duration) {
		inBubble(t, func(w *world) {
			w.To(member).Delay(time.Millisecond, 100*time.Millisecond)
			client, server := w.connect()
			go func() {
				for i := range byte(20) {
					client.Write([]byte{i})
					time.Sleep(time.Millisecond)
				}
			}()
			began := time.Now()
			for i := range byte(20) {
				w.receive(server, string([]byte{i}))
				all = append(all, time.Since(began))
			}
		})
		return all
	}
	one, two := times(), times()
	different := make(map[time.Duration]bool)
	for i := range one {
		if different[one[i]] = true; one[i] != two[i] {
			t.Fatalf("two runs with one seed differ: %v and %v", one, two)
		}
	}
	if len(different) < 3 {
		t.Errorf("there is no jitter: %v", one)
	}
}

func TestALineIsSharedByItsConnections(t *testing.T) {
	inBubble(t, func(w *world) {
		w.To(member).Throttle(10_000)
		began := time.Now()
		done := make(chan time.Duration, 2)
		for range 2 {
			client, server := w.connect()
			go client.Write(make([]byte, 30_000))
			go func() {
				io.ReadFull(server, make([]byte, 30_000))
				done <- time.Since(began)
			}()
		}
		first, second := <-done, <-done
		if first < 5500*time.Millisecond || second < 5900*time.Millisecond || second > 6*time.Second {
			t.Errorf("60,000 bytes at 10,000 a second on two connections took %v and %v; want about 6 s each", first, second)
		}
	})
}

func TestFaultsAddUpAndEndTogether(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		links := w.To(member)
		links.Delay(time.Hour, 0)
		links.Throttle(1)
		links.Refuse()
		w.send(client, "at once when mended")
		synctest.Wait()
		links.Mend()
		began := time.Now()
		w.receive(server, "at once when mended")
		w.connect()
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAFrozenProcessBuffersAsMuchAsItsKernel(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.Freeze(member)
		client.SetWriteDeadline(time.Now().Add(time.Hour))
		n, err := client.Write(make([]byte, 1<<20))
		if n != 64<<10 || !isTimeout(err) {
			t.Errorf("a frozen process took %d bytes, %v; want 64 KiB", n, err)
		}
		waiting, err := w.Dial(w.t.Context(), "app", member)
		if err != nil {
			t.Fatalf("the kernel of a frozen process did not connect: %v", err)
		}
		answered := make(chan bool)
		go func() {
			server.Write([]byte("answer"))
			close(answered)
		}()
		w.silent(server, time.Minute)
		w.silent(client, time.Minute)
		w.Thaw(member)
		<-answered
		w.receive(client, "answer")
		if _, err := io.ReadFull(server, make([]byte, 64<<10)); err != nil {
			t.Error(err)
		}
		accepted, err := w.listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		w.send(waiting, "hello")
		w.receive(accepted, "hello")
	})
}

func TestAFrozenProcessClosesNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.Freeze(member)
		server.Close() // as if the frozen process had run a timer
		w.silent(client, time.Minute)
		w.Thaw(member)
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the thaw a read returned %v", err)
		}
	})
}

func TestBytesWrittenByAKilledProcessAreDelivered(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		inBubble(t, func(w *world) {
			client, server := w.connect()
			w.send(server, "answer")
			if frozen {
				w.Freeze(member)
			}
			w.Kill(member)
			if got, err := io.ReadAll(client); !bytes.Equal(got, []byte("answer")) || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
			_, err := w.Dial(w.t.Context(), "app", member)
			w.fails(err, "dial tcp 10.0.0.1:2379: connect: connection refused", syscall.ECONNREFUSED)
			w.listen()
			w.connect()
		})
	}
}
