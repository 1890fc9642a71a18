package natskv_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv/backend/backendtest"
)

// natsServer is a NATS server in this process. It does not listen: clients are connected by pipes.
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

// backup stops the server while it copies the data. restore brings the data back.
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

// dial opens a connection for a link.
func (s *natsServer) dial(context.Context, string, string) (net.Conn, error) {
	return s.InProcessConn()
}

// overLink connects a client by a link.
type overLink struct{ *backendtest.Link }

func (l overLink) InProcessConn() (net.Conn, error) {
	return l.DialContext(context.Background(), "", "")
}

// connect returns a connection over l that always reconnects. It is closed when the test ends.
func connect(t interface {
	Helper()
	Fatalf(string, ...any)
	Cleanup(func())
}, l *backendtest.Link) jetstream.JetStream {
	t.Helper()
	closed := make(chan struct{})
	nc, err := nats.Connect("", nats.InProcessServer(overLink{l}),
		nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() {
		nc.Close()
		<-closed
		l.Close()
	})
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatalf("JetStream: %v", err)
	}
	return js
}

// until calls done repeatedly until it returns true.
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
