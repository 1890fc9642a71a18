package etcdtest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// moment is how long a test looks before it says that nothing arrives.
const moment = 50 * time.Millisecond

// line is a network with one member, which is a plain listener that the test reads and writes by itself.
type line struct {
	*etcdtest.Network
	t        *testing.T
	endpoint string
	listener net.Listener
	close    func() // closes the network, once
}

func newLine(t *testing.T) *line {
	leaktest.Check(t)
	dir := must(os.MkdirTemp("", ""))(t)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l := &line{t: t, endpoint: "unix://" + socket, listener: must(net.Listen("unix", socket))(t)}
	var end func()
	l.Network, end = etcdtest.NewNetwork(socket)
	l.close = sync.OnceFunc(end)
	t.Cleanup(func() {
		l.close()
		l.listener.Close()
	})
	return l
}

// connect returns both ends of a new connection.
func (l *line) connect() (client, member net.Conn) {
	l.t.Helper()
	client = must(l.Dial(bounded(l.t), l.endpoint))(l.t)
	member = must(l.listener.Accept())(l.t)
	l.t.Cleanup(func() {
		client.Close()
		member.Close()
	})
	return client, member
}

// works checks that bytes pass in both directions.
func works(t *testing.T, client, member net.Conn) {
	t.Helper()
	arrives(t, client, member, "request")
	arrives(t, member, client, "answer")
}

// arrives sends text and checks that it is what arrives.
func arrives(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	must(from.Write([]byte(text)))(t)
	receives(t, to, text)
}

func receives(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	check(t, conn.SetReadDeadline(time.Now().Add(within)))
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("%q arrives, and then the error %v; want %q", got[:n], err, want)
	}
}

// silent checks that nothing arrives at conn, not even the end.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	check(t, conn.SetReadDeadline(time.Now().Add(moment)))
	var b [10]byte
	if n, err := conn.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a silent connection delivers %q and the error %v", b[:n], err)
	}
}

// hangs checks that a new connection neither works nor fails.
func (l *line) hangs() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), moment)
	defer cancel()
	if conn, err := l.Dial(ctx, l.endpoint); !errors.Is(err, context.DeadlineExceeded) {
		l.t.Fatalf("a new connection does not hang until its context ends: %v, %v", conn, err)
	}
}

func TestSwallow(t *testing.T) {
	tests := []struct {
		name              string
		swallow           func(*etcdtest.Network)
		requests, answers bool // those that are swallowed
	}{
		{"both", func(n *etcdtest.Network) { n.Swallow(0) }, true, true},
		{"requests", func(n *etcdtest.Network) { n.SwallowRequests() }, true, false},
		{"answers", func(n *etcdtest.Network) { n.SwallowAnswers() }, false, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLine(t)
			client, member := l.connect()
			works(t, client, member)
			test.swallow(l.Network)

			must(client.Write([]byte("held request")))(t)
			must(member.Write([]byte("held answer")))(t)
			if test.requests {
				silent(t, member)
			} else {
				receives(t, member, "held request")
			}
			if test.answers {
				silent(t, client)
			} else {
				receives(t, client, "held answer")
			}
			l.hangs()

			l.Mend()
			if test.requests {
				receives(t, member, "held request")
			}
			if test.answers {
				receives(t, client, "held answer")
			}
			works(t, client, member)
			works(l.connectTo())
		})
	}
}

// connectTo is connect for a call of works.
func (l *line) connectTo() (t *testing.T, client, member net.Conn) {
	client, member = l.connect()
	return l.t, client, member
}

// What arrives after the fault has begun is held, also if a read was waiting for it before.
func TestSwallowBesideARead(t *testing.T) {
	l := newLine(t)
	client, member := l.connect()
	got := make(chan string, 1)
	go func() {
		b := make([]byte, 100)
		n, err := client.Read(b)
		if err != nil {
			t.Error(err)
		}
		got <- string(b[:n])
	}()
	l.Swallow()
	must(member.Write([]byte("answer")))(t)
	select {
	case text := <-got:
		t.Errorf("%q was not swallowed", text)
	case <-time.After(moment):
	}
	l.Mend()
	if text := <-got; text != "answer" {
		t.Errorf("%q arrives, want what was held", text)
	}
}

func TestNewConnectionThatHangsIsMadeAfterMend(t *testing.T) {
	l := newLine(t)
	l.Swallow()
	made := make(chan error, 1)
	go func() {
		conn, err := l.Dial(bounded(t), l.endpoint)
		if err == nil {
			conn.Close()
		}
		made <- err
	}()
	select {
	case err := <-made:
		t.Fatalf("a new connection does not hang: %v", err)
	case <-time.After(moment):
	}
	l.Mend()
	check(t, <-made)
}

func TestHeldBytesAreBounded(t *testing.T) {
	l := newLine(t)
	client, member := l.connect()
	sent := bytes.Repeat([]byte("0123456789"), 100_000)
	l.Swallow()
	check(t, client.SetWriteDeadline(time.Now().Add(moment)))
	n, err := client.Write(sent)
	if n != etcdtest.Window || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a write into a silent connection takes %d bytes and gives %v; want %d and then to wait", n, err, etcdtest.Window)
	}
	l.Mend()
	receives(t, member, string(sent[:n]))
	check(t, client.SetWriteDeadline(time.Time{}))
	go client.Write(sent)
	receives(t, member, string(sent))
}

func TestUnacknowledgedBytesAreBounded(t *testing.T) {
	l := newLine(t)
	client, member := l.connect()
	l.SwallowRequests()
	sent := strings.Repeat("0123456789", 20_000)
	go member.Write([]byte(sent))
	receives(t, client, sent[:etcdtest.Window])
	silent(t, client)
	l.Mend()
	receives(t, client, sent[etcdtest.Window:])
}

func TestCloseOfASwallowedConnection(t *testing.T) {
	l := newLine(t)
	client, member := l.connect()
	l.Swallow()
	must(client.Write([]byte("last words")))(t)
	reading := make(chan error, 1)
	go func() {
		_, err := client.Read(make([]byte, 1))
		reading <- err
	}()
	check(t, client.Close())
	if err := <-reading; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read of a closed connection gives %v", err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write to a closed connection gives %v", err)
	}
	silent(t, member) // it has not heard of it
	l.Mend()
	receives(t, member, "last words")
	if _, err := member.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the member gets %v, want the end of the connection", err)
	}
}

func TestEndOfAMemberIsSwallowed(t *testing.T) {
	l := newLine(t)
	client, member := l.connect()
	l.Swallow()
	must(member.Write([]byte("last words")))(t)
	member.Close()
	silent(t, client)
	l.Mend()
	receives(t, client, "last words")
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client gets %v, want the end of the connection", err)
	}
}

func TestForget(t *testing.T) {
	l := newLine(t)
	client, member := l.connect()
	works(t, client, member)
	l.Forget()
	works(l.connectTo()) // at once

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
		t.Errorf("when the network is closed the member gets %v, want the end of the connection", err)
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
				t.Errorf("a read that waited gives %v, want %v", err, syscall.ECONNRESET)
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("a read gives %v, want %v", err, syscall.ECONNRESET)
			}
			if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("a write gives %v, want %v", err, syscall.ECONNRESET)
			}
			if _, err := member.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the member reads on: %v", err)
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
		t.Errorf("a new connection takes %v, want a round trip of %v", took, 2*d)
	}
	for _, ends := range [][2]net.Conn{{client, member}, {member, client}} {
		began = time.Now()
		arrives(t, ends[0], ends[1], "late")
		if took := time.Since(began); took < d {
			t.Errorf("bytes arrive after %v, want %v", took, d)
		}
	}

	// What is sent while other bytes travel travels at the same time.
	began = time.Now()
	for range 50 {
		must(member.Write([]byte("0123456789")))(t)
		time.Sleep(time.Millisecond) // or it would be one piece
	}
	receives(t, client, strings.Repeat("0123456789", 50))
	if took := time.Since(began); took > 20*d {
		t.Errorf("50 pieces sent one after the other arrive after %v: each waits for those before it", took)
	}
	l.Delay(0)
	works(t, client, member)
}

func TestThrottle(t *testing.T) {
	const perSecond, each = 1 << 20, 128 << 10
	l := newLine(t)
	l.Throttle(perSecond)
	sent := strings.Repeat("x", each)
	var lines sync.WaitGroup
	began := time.Now()
	for range 2 {
		client, member := l.connect()
		lines.Go(func() { member.Write([]byte(sent)) })
		lines.Go(func() { client.Write([]byte(sent)) })
		for _, end := range []net.Conn{client, member} {
			lines.Go(func() {
				if n, err := io.ReadFull(end, make([]byte, each)); err != nil {
					t.Errorf("after %d bytes: %v", n, err)
				}
			})
		}
	}
	lines.Wait()
	// The two share the line, and each direction has one.
	took, want := time.Since(began), time.Second*2*each/perSecond
	t.Logf("%d bytes took %v, want %v", 2*each, took, want)
	if took < want*8/10 { // a busy machine may take longer
		t.Errorf("%d bytes in each direction, at %d a second, took %v; want %v", 2*each, perSecond, took, want)
	}
}

func TestThrottledLineMakesItsWriterWait(t *testing.T) {
	l := newLine(t)
	client, member := l.connect()
	l.Throttle(1 << 10)
	check(t, client.SetWriteDeadline(time.Now().Add(moment)))
	n, err := client.Write(make([]byte, 1<<20))
	if n > etcdtest.Window+10<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a slow line takes %d bytes at once and gives %v; want little more than %d, and then to wait", n, err, etcdtest.Window)
	}
	l.Throttle(0)
	receives(t, member, strings.Repeat("\x00", n))
}

func TestCloseEndsWhatHangs(t *testing.T) {
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
			t.Error("something works although the network is closed")
		}
	}
	l.Mend()
	if conn, err := l.Dial(t.Context(), l.endpoint); err == nil {
		conn.Close()
		t.Error("a connection was made although the network is closed")
	}
}

func TestDialOfAStrangerIsAnError(t *testing.T) {
	l := newLine(t)
	for _, endpoint := range []string{"", "unix:///elsewhere", "http://127.0.0.1:1"} {
		if _, err := l.Dial(t.Context(), endpoint); err == nil || !strings.Contains(err.Error(), "not an endpoint") {
			t.Errorf("Dial of %q gives %v", endpoint, err)
		}
	}
}

func TestNetworkOfManyHands(t *testing.T) {
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
