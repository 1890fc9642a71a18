package etcdtest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestForget(t *testing.T) {
	l := newLine(t)
	client, member := l.connect()
	works(t, client, member)
	l.Forget()
	works(l.connectTo()) // a new connection works at once

	dead := func() {
		t.Helper()
		must(client.Write([]byte("lost")))(t)
		must(member.Write([]byte("lost")))(t)
		silent(t, client)
		silent(t, member)
	}
	dead()
	l.Mend()
	dead()
	check(t, client.Close())
	silent(t, member)
	l.close()
	check(t, member.SetReadDeadline(time.Now().Add(within)))
	if _, err := member.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("when the network was closed, the member got %v, want the end of the connection", err)
	}
}

func TestReset(t *testing.T) {
	for _, before := range []string{"works", "is silent"} {
		t.Run("a connection that "+before, func(t *testing.T) {
			l := newLine(t)
			client, member := l.connect()
			works(t, client, member)
			if before == "is silent" {
				l.Swallow()
			}
			reading := make(chan error, 1)
			go func() {
				_, err := client.Read(make([]byte, 1))
				reading <- err
			}()
			l.Reset()
			if err := <-reading; !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("a blocked read gives %v, want %v", err, syscall.ECONNRESET)
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("a read gives %v, want %v", err, syscall.ECONNRESET)
			}
			if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("a write gives %v, want %v", err, syscall.ECONNRESET)
			}
			if _, err := member.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the member can still read: %v", err)
			}
			l.Mend()
			works(l.connectTo())
		})
	}
}

func TestRefuse(t *testing.T) {
	l := newLine(t)
	client, member := l.connect()
	l.Refuse()
	if conn, err := l.Dial(bounded(t), l.endpoint); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("a new connection gives %v, %v; want %v", conn, err, syscall.ECONNREFUSED)
	}
	works(t, client, member)
	l.Mend()
	works(l.connectTo())
}

func TestDelay(t *testing.T) {
	const d = 100 * time.Millisecond
	l := newLine(t)
	l.Delay(d)
	began := time.Now()
	client, member := l.connect()
	if took := time.Since(began); took < 2*d {
		t.Errorf("a new connection took %v, want a round trip of %v", took, 2*d)
	}
	for _, ends := range [][2]net.Conn{{client, member}, {member, client}} {
		began = time.Now()
		arrives(t, ends[0], ends[1], "late")
		if took := time.Since(began); took < d {
			t.Errorf("bytes arrived after %v, want %v", took, d)
		}
	}

	// Bytes that are sent while earlier bytes travel do not wait for them.
	began = time.Now()
	for range 50 {
		must(member.Write([]byte("0123456789")))(t)
		time.Sleep(time.Millisecond) // otherwise the pieces would be sent as one
	}
	receives(t, client, strings.Repeat("0123456789", 50))
	if took := time.Since(began); took > 20*d {
		t.Errorf("50 pieces sent one after the other arrived after %v: each piece has waited for the pieces before it", took)
	}
	l.Delay(0)
	works(t, client, member)
}

func TestThrottle(t *testing.T) {
	const perSecond, each = 1 << 20, 128 << 10
	l := newLine(t)
	l.Throttle(perSecond)
	send := func(directions ...direction) time.Duration {
		var sending sync.WaitGroup
		began := time.Now()
		for range 2 {
			ends := [2]net.Conn{}
			ends[0], ends[1] = l.connect()
			for _, from := range directions {
				sending.Go(func() { ends[from].Write(make([]byte, each)) })
				sending.Go(func() {
					if n, err := io.ReadFull(ends[1-from], make([]byte, each)); err != nil {
						t.Errorf("after %d bytes: %v", n, err)
					}
				})
			}
		}
		sending.Wait()
		return time.Since(began)
	}
	const want = time.Second * 2 * each / perSecond
	one, both := send(requests), send(requests, answers)
	t.Logf("%d bytes took %v, and as many in each direction %v", 2*each, one, both)
	if one < want*8/10 {
		t.Errorf("over two connections, %d bytes at %d a second took %v, want %v: the connections do not share the line", 2*each, perSecond, one, want)
	}
	if both < want*8/10 || both > one*8/5+moment {
		t.Errorf("as many bytes in both directions took %v, and in one direction %v; want a line for each direction", both, one)
	}
}

// direction says which end sends.
type direction int

const (
	requests direction = iota
	answers
)

func TestThrottleBlocksAWriter(t *testing.T) {
	l := newLine(t)
	client, member := l.connect()
	l.Throttle(1 << 10)
	check(t, client.SetWriteDeadline(time.Now().Add(moment)))
	n, err := client.Write(make([]byte, 1<<20))
	if n > etcdtest.Window+10<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a slow line accepted %d bytes at once and gave %v; want little more than %d bytes, and then a timeout", n, err, etcdtest.Window)
	}
	l.Throttle(0)
	receives(t, member, strings.Repeat("\x00", n))
}

func TestCloseEndsHangingConnections(t *testing.T) {
	l := newLine(t)
	client, _ := l.connect()
	l.Swallow()
	ended := make(chan error, 2)
	go func() {
		_, err := client.Read(make([]byte, 1))
		ended <- err
	}()
	go func() {
		_, err := l.Dial(t.Context(), l.endpoint)
		ended <- err
	}()
	l.close()
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("a call works although the network is closed")
		}
	}
	l.Mend()
	if conn, err := l.Dial(t.Context(), l.endpoint); err == nil {
		conn.Close()
		t.Error("a connection was made although the network is closed")
	}
}

// A fault may begin while a connection is being closed. A call that uses the connection must return an error of one of the two.
func TestCloseWhileAFaultBegins(t *testing.T) {
	l := newLine(t)
	for range 500 {
		client, _ := l.connect()
		var hands sync.WaitGroup
		ended := make(chan struct{})
		hands.Go(func() { l.Forget() })
		hands.Go(func() { client.Close() })
		hands.Go(func() {
			for {
				if _, err := client.Write(make([]byte, 2*etcdtest.Window)); err != nil {
					return
				}
			}
		})
		hands.Go(func() { client.Read(make([]byte, 1)) })
		go func() {
			defer close(ended)
			hands.Wait()
		}()
		select {
		case <-ended:
		case <-time.After(within):
			t.Fatal("a call on a closed connection does not end")
		}
	}
}

func TestDialOfAnUnknownAddressIsAnError(t *testing.T) {
	l := newLine(t)
	for _, endpoint := range []string{"", "unix:///elsewhere", "http://127.0.0.1:1"} {
		if _, err := l.Dial(t.Context(), endpoint); err == nil || !strings.Contains(err.Error(), "not an endpoint") {
			t.Errorf("Dial of %q gives %v", endpoint, err)
		}
	}
}

func TestConcurrentUseOfTheNetwork(t *testing.T) {
	l := newLine(t)
	go func() {
		for {
			conn, err := l.listener.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(conn, conn)
				conn.Close()
			}()
		}
	}()
	ctx, stop := context.WithCancel(t.Context())
	var hands sync.WaitGroup
	for range 4 {
		hands.Go(func() {
			for ctx.Err() == nil {
				conn, err := l.Dial(ctx, l.endpoint)
				if err != nil {
					continue
				}
				end := context.AfterFunc(ctx, func() { conn.Close() })
				hands.Go(func() { conn.Write([]byte(strings.Repeat("x", 200_000))) })
				conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				io.Copy(io.Discard, conn)
				end()
				conn.Close()
			}
		})
	}
	for range 20 {
		for _, fault := range []func(){
			func() { l.Swallow() }, func() { l.Reset() }, func() { l.Mend() },
			func() { l.SwallowRequests() }, func() { l.Forget() }, func() { l.Throttle(10 << 20) }, func() { l.Mend() },
			func() { l.Refuse() }, func() { l.Delay(time.Millisecond) }, func() { l.SwallowAnswers() }, func() { l.Mend() },
		} {
			fault()
			time.Sleep(time.Millisecond)
		}
	}
	stop()
	hands.Wait()
	client := must(l.Dial(bounded(t), l.endpoint))(t)
	defer client.Close()
	arrives(t, client, client, "echo")
}
