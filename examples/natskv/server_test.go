package natskv_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsServer is a NATS server in this process. It listens nowhere: clients are connected by pipes.
type natsServer struct {
	dir     string
	mu      sync.Mutex
	running *server.Server
}

func startServer(t *testing.T) *natsServer {
	t.Helper()
	s := &natsServer{dir: t.TempDir()}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func (s *natsServer) start() error {
	running, err := server.NewServer(&server.Options{
		DontListen: true,
		JetStream:  true,
		StoreDir:   s.dir,
		MaxPayload: 4 << 20, // S6: a value of 1 MiB with its headers is larger than the default
		NoLog:      true,
		NoSigs:     true,
	})
	if err != nil {
		return err
	}
	running.Start()
	if !running.ReadyForConnections(time.Minute) {
		return errors.New("the server does not start")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = running
	return nil
}

func (s *natsServer) stop() {
	s.mu.Lock()
	running := s.running
	s.running = nil
	s.mu.Unlock()
	if running != nil {
		running.Shutdown()
		running.WaitForShutdown()
	}
}

// InProcessConn is how a client connects.
func (s *natsServer) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	if running == nil {
		return nil, errors.New("the server is stopped")
	}
	return running.InProcessConn()
}

// backup stops the server, for as long as it takes to copy its data. restore takes the data back.
func (s *natsServer) backup(dir string) (restore func() error, err error) {
	s.stop()
	if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
		return nil, err
	}
	return func() error {
		s.stop()
		err := os.RemoveAll(filepath.Join(s.dir, "jetstream"))
		if err == nil {
			err = os.CopyFS(s.dir, os.DirFS(dir))
		}
		return errors.Join(err, s.start())
	}, s.start()
}

// link is a client's way to the server, which can be cut.
type link struct {
	server nats.InProcessConnProvider
	mu     sync.Mutex
	whole  chan struct{} // closed while the link is
	conns  []*linkConn
}

func newLink(server nats.InProcessConnProvider) *link {
	l := &link{server: server, whole: make(chan struct{})}
	close(l.whole)
	return l
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = make(chan struct{})
}

func (l *link) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_, _ = c.Conn.Write(c.unsent)
		c.unsent = nil
	}
	close(l.whole)
}

// drop ends the connections over the link; new ones can be made at once.
func (l *link) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Conn.Close()
	}
}

func (l *link) isWhole() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.whole
}

func (l *link) InProcessConn() (net.Conn, error) {
	select {
	case <-l.isWhole():
	default:
		return nil, errors.New("the link is cut")
	}
	conn, err := l.server.InProcessConn()
	if err != nil {
		return nil, err
	}
	c := &linkConn{Conn: conn, link: l, closed: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
	return c, nil
}

// linkConn is a connection that behaves as one over TCP does while the network fails: nothing comes, and what is sent
// waits in a buffer.
type linkConn struct {
	net.Conn
	link   *link
	unsent []byte // guarded by link.mu
	once   sync.Once
	closed chan struct{}
}

func (c *linkConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case <-c.link.isWhole():
		return n, err
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *linkConn) Write(b []byte) (int, error) {
	c.link.mu.Lock()
	select {
	case <-c.link.whole:
		c.link.mu.Unlock()
		return c.Conn.Write(b)
	default:
		c.unsent = append(c.unsent, b...)
		c.link.mu.Unlock()
		return len(b), nil
	}
}

func (c *linkConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.link.mu.Lock()
		defer c.link.mu.Unlock()
		c.link.conns = slices.DeleteFunc(c.link.conns, func(other *linkConn) bool { return other == c })
	})
	return c.Conn.Close()
}

// connect returns a connection over l that never gives up, and closes it when the test is over.
func connect(t interface {
	Helper()
	Fatalf(string, ...any)
	Cleanup(func())
}, l *link) jetstream.JetStream {
	t.Helper()
	closed := make(chan struct{})
	nc, err := nats.Connect("", nats.InProcessServer(l),
		nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() {
		nc.Close()
		<-closed
	})
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatalf("JetStream: %v", err)
	}
	return js
}

// until asks done again and again until it holds.
func until(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}
