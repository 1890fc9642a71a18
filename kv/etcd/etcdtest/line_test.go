package etcdtest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// moment is how long a test waits before it concludes that nothing arrives.
const moment = 50 * time.Millisecond

// line is a network with one member. The member is a plain listener, and the test reads and writes its connections.
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

// arrives sends text and checks that the same text arrives.
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
		t.Fatalf("%q arrived, and then the error %v; want %q", got[:n], err, want)
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

// connectTo returns what connect returns, with t, as arguments of works.
func (l *line) connectTo() (t *testing.T, client, member net.Conn) {
	client, member = l.connect()
	return l.t, client, member
}
