package backendtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv/backend/backendtest"
)

// echo is a server that returns each line.
type echo struct {
	running sync.WaitGroup
	mu      sync.Mutex
	lines   []string
	ended   int // connections
}

func (e *echo) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	e.running.Go(func() {
		defer server.Close()
		for lines := bufio.NewScanner(server); lines.Scan(); {
			e.mu.Lock()
			e.lines = append(e.lines, lines.Text())
			e.mu.Unlock()
			fmt.Fprintln(server, lines.Text())
		}
		e.mu.Lock()
		e.ended++
		e.mu.Unlock()
	})
	return client, nil
}

func (e *echo) received() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.lines, " ")
}

// inBubble runs a test with a server, a link and one connection.
func inBubble(t *testing.T, test func(t *testing.T, e *echo, l *backendtest.Link, c net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		e := new(echo)
		l := backendtest.NewLink(e.dial)
		defer e.running.Wait()
		defer l.Close()
		c, err := l.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		test(t, e, l, c)
	})
}

func expectEcho(t *testing.T, c net.Conn, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		t.Fatal(err)
	}
	expectLine(t, c, line)
}

func expectLine(t *testing.T, c net.Conn, line string) {
	t.Helper()
	got := make([]byte, len(line)+1)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != line+"\n" {
		t.Fatalf("read %q, %v, want %q", got, err, line)
	}
}

func TestALinkForwardsBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, e *echo, l *backendtest.Link, c net.Conn) {
		expectEcho(t, c, "a")
		expectEcho(t, c, "b")
		c.Close()
		synctest.Wait()
		if e.ended != 1 {
			t.Error("the client has closed its connection, and the server's goes on")
		}
	})
}

func TestSwallowDelaysBytesAndClosesNoConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, e *echo, l *backendtest.Link, c net.Conn) {
		expectEcho(t, c, "a")
		l.Swallow()
		for _, line := range []string{"b", "c"} {
			if _, err := fmt.Fprintln(c, line); err != nil {
				t.Errorf("a write of %q: %v, want it to wait in a buffer", line, err)
			}
		}
		c.SetReadDeadline(time.Now().Add(time.Hour))
		if n, err := c.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a read returned %d bytes, %v, want it to wait for its deadline", n, err)
		}
		if got := e.received(); got != "a" {
			t.Errorf("the server has received %q, want nothing after a", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := l.DialContext(ctx, "", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a new connection: %v, want it to wait for its context", err)
		}
		c.SetReadDeadline(time.Time{})
		l.Heal()
		expectLine(t, c, "b")
		expectLine(t, c, "c")
		expectEcho(t, c, "d")
	})
}

func TestSwallowBlocksASenderWhoseBufferIsFull(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *echo, l *backendtest.Link, c net.Conn) {
		l.Swallow()
		c.SetWriteDeadline(time.Now().Add(time.Hour))
		sent, line := 0, []byte(strings.Repeat("x", 64<<10))
		for {
			n, err := c.Write(line)
			sent += n
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil || sent > 4<<20 {
				t.Fatalf("%d bytes were sent, %v", sent, err)
			}
		}
		if sent < 1<<20 {
			t.Errorf("%d bytes were accepted, want 1 MiB", sent)
		}
	})
}

func TestTheServerSeesAClosedConnectionOnlyAfterTheHeal(t *testing.T) {
	inBubble(t, func(t *testing.T, e *echo, l *backendtest.Link, c net.Conn) {
		l.Swallow()
		c.Close()
		synctest.Wait()
		if e.ended != 0 {
			t.Error("the link swallows everything, and the server has learned that the client is gone")
		}
		l.Heal()
		synctest.Wait()
		if e.ended != 1 {
			t.Error("the link is healed, and the server has not learned that the client is gone")
		}
	})
}

func TestCutEndsConnectionsAndRefusesNewOnes(t *testing.T) {
	inBubble(t, func(t *testing.T, e *echo, l *backendtest.Link, c net.Conn) {
		reading := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			reading <- err
		}()
		synctest.Wait()
		l.Cut()
		if err := <-reading; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a running read ends with %v, want ECONNRESET", err)
		}
		if _, err := c.Write([]byte("a")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a write ends with %v, want ECONNRESET", err)
		}
		if _, err := l.DialContext(t.Context(), "", ""); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a new connection: %v, want ECONNREFUSED", err)
		}
		synctest.Wait()
		if e.ended != 1 {
			t.Error("the connection of the server goes on")
		}
		l.Heal()
		again, err := l.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		expectEcho(t, again, "b")
	})
}

func TestDropEndsConnectionsAndNewOnesWork(t *testing.T) {
	inBubble(t, func(t *testing.T, e *echo, l *backendtest.Link, c net.Conn) {
		l.Drop()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a read ends with %v, want ECONNRESET", err)
		}
		again, err := l.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		expectEcho(t, again, "a")
	})
}

func TestAStoppedServerEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		l := backendtest.NewLink(func(context.Context, string, string) (net.Conn, error) { return client, nil })
		defer l.Close()
		c, err := l.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		server.Close()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a read ends with %v, want EOF", err)
		}
	})
}

func TestCloseUnblocksPendingCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *echo, l *backendtest.Link, c net.Conn) {
		l.Swallow()
		fmt.Fprintln(c, "a")
		dialing := make(chan error)
		go func() {
			_, err := l.DialContext(context.Background(), "", "")
			dialing <- err
		}()
		synctest.Wait()
		l.Close()
		if err := <-dialing; !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the link was closed, and a new connection is %v, want ECONNREFUSED", err)
		}
	})
}
