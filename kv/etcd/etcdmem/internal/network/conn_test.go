package network_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/network"
)

// member is the address that most tests dial.
const member = "10.0.0.1:2379"

// golang.org/x/net has these tests of the rules of package net for all implementations of net.Conn.
func TestConnectionsBehaveLikeNetConn(t *testing.T) {
	leaktest.Check(t)
	nettest.TestConn(t, func() (client, server net.Conn, stop func(), err error) {
		n := network.New(1)
		l, err := n.Listen(member)
		if err != nil {
			return nil, nil, nil, err
		}
		if client, err = n.Dial(context.Background(), "app", member); err != nil {
			return nil, nil, nil, err
		}
		server, err = l.Accept()
		return client, server, n.Close, err
	})
}

// world is a network with one member, in a bubble.
type world struct {
	*network.Network
	t        *testing.T
	listener net.Listener
}

// inBubble runs a test in a bubble, with a network that is closed after it.
func inBubble(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{Network: network.New(1), t: t}
		defer w.Close()
		w.listen()
		test(w)
	})
}

func (w *world) listen() {
	l, err := w.Listen(member)
	if err != nil {
		w.t.Fatal(err)
	}
	w.listener = l
}

// connect returns both ends of a new connection.
func (w *world) connect() (client, server net.Conn) {
	w.t.Helper()
	client, err := w.Dial(w.t.Context(), "app", member)
	if err != nil {
		w.t.Fatal(err)
	}
	server, err = w.listener.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	return client, server
}

// send writes all of text.
func (w *world) send(c net.Conn, text string) {
	w.t.Helper()
	if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
		w.t.Fatalf("wrote %d of %d bytes: %v", n, len(text), err)
	}
}

// receive reads as many bytes as text has, and checks that they are text.
func (w *world) receive(c net.Conn, text string) {
	w.t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != text {
		w.t.Fatalf("read %q, %v; want %q", got[:n], err, text)
	}
}

// silent checks that a read returns nothing for the time d.
func (w *world) silent(c net.Conn, d time.Duration) {
	w.t.Helper()
	c.SetReadDeadline(time.Now().Add(d))
	defer c.SetReadDeadline(time.Time{})
	if n, err := c.Read(make([]byte, 1)); n != 0 || !isTimeout(err) {
		w.t.Fatalf("read %d bytes, %v; want nothing for %v", n, err, d)
	}
}

// fails checks that err is a net.OpError with this text and cause.
func (w *world) fails(err error, text string, cause error) {
	w.t.Helper()
	var op *net.OpError
	if !errors.As(err, &op) || err.Error() != text || !errors.Is(err, cause) {
		w.t.Errorf("the error is %v (%T); want %q, which is %v", err, err, text, cause)
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func readError(c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	return err
}

const ends = "10.1.0.1:32769->10.0.0.1:2379"

func TestACloseIsReadAfterWhatWasWritten(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.send(server, "last words")
		server.Close()
		w.receive(client, "last words")
		if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("read %d bytes, %v; want io.EOF", n, err)
		}
		w.send(client, "not read") // TCP does not know yet that the other end is closed
		_, err := client.Write([]byte("it knows now"))
		w.fails(err, "write tcp "+ends+": write: broken pipe", syscall.EPIPE)
		client.Close()
		if n := w.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

func TestACloseWithUnreadBytesResetsTheOtherEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.send(client, "a request")
		server.Close()
		w.fails(readError(client), "read tcp "+ends+": read: connection reset by peer", syscall.ECONNRESET)
	})
}

// gRPC makes a request again at once if it cannot be written, until the connection cannot be read either. So a bubble would stand still.
func TestAResetFailsWritesNoEarlierThanReads(t *testing.T) {
	inBubble(t, func(w *world) {
		w.To(member).Delay(10*time.Millisecond, 5*time.Millisecond)
		for range 100 { // the jitter is a matter of chance
			client, server := w.connect()
			for range 3 {
				w.send(server, "last words")
			}
			server.Close()
			read := make(chan error, 1)
			go func() { read <- readError(client) }()
			begun := time.Now()
			var err error
			for err == nil {
				_, err = client.Write([]byte("not read"))
				synctest.Wait()
				if err == nil {
					time.Sleep(time.Millisecond)
				}
			}
			if !errors.Is(err, syscall.EPIPE) {
				w.t.Fatalf("the write failed with %v", err)
			}
			select {
			case <-read:
			default:
				w.t.Fatalf("promised: a reset fails reads and writes; writes failed after %v, and a read still waits", time.Since(begun))
			}
			client.Close()
		}
	})
}

// The bytes that a slow line still carries would let a read wait for longer than the reset takes.
func TestAResetFailsWritesNoEarlierThanReadsOfASlowLine(t *testing.T) {
	inBubble(t, func(w *world) {
		w.To(member).Throttle(1000)
		client, server := w.connect()
		w.send(server, strings.Repeat("last words", 1000))
		server.Close()
		read := make(chan error, 1)
		go func() { read <- readError(client) }()
		var err error
		for range 1000 {
			if _, err = client.Write([]byte("not read")); err != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if !errors.Is(err, syscall.EPIPE) {
			w.t.Fatalf("the write failed with %v", err)
		}
		synctest.Wait()
		select {
		case err := <-read:
			if !errors.Is(err, syscall.ECONNRESET) {
				w.t.Errorf("the read failed with %v", err)
			}
		default:
			w.t.Fatal("promised: a reset fails reads and writes; writes failed, and a read still waits for what the line carries")
		}
		client.Close()
	})
}

func TestHalfAConnectionCanBeClosed(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		w.send(client, "question")
		client.(interface{ CloseWrite() error }).CloseWrite()
		if got, err := io.ReadAll(server); string(got) != "question" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		w.send(server, "answer")
		w.receive(client, "answer")
		_, err := client.Write([]byte("more"))
		w.fails(err, "write tcp "+ends+": use of closed network connection", net.ErrClosed)
	})
}

func TestAWriterWaitsForAReader(t *testing.T) {
	inBubble(t, func(w *world) {
		client, server := w.connect()
		text := make([]byte, 1<<20)
		client.SetWriteDeadline(time.Now().Add(time.Minute))
		n, err := client.Write(text)
		if n != 64<<10 || !isTimeout(err) {
			t.Fatalf("wrote %d bytes that are not read, %v; want 64 KiB and a timeout", n, err)
		}
		client.SetWriteDeadline(time.Time{})
		go func() {
			client.Write(text[n:])
			client.Close()
		}()
		if got, err := io.ReadAll(server); len(got) != len(text) || err != nil {
			t.Errorf("read %d bytes, %v; want %d", len(got), err, len(text))
		}
	})
}
