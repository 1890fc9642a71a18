package etcdtest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestSwallow(t *testing.T) {
	tests := []struct {
		name              string
		swallow           func(*etcdtest.Network)
		requests, answers bool // which directions are swallowed
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
			silent(t, client) // a deadline that has passed
			works(t, client, member)
			works(l.connectTo())
		})
	}
}

// Bytes that arrive after the fault has begun are held, even if a read was blocked before.
func TestSwallowDuringARead(t *testing.T) {
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
		t.Errorf("%q arrived, want the bytes that were held", text)
	}
}

func TestAHangingDialSucceedsAfterMend(t *testing.T) {
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
		t.Fatalf("a new connection did not hang: %v", err)
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
		t.Fatalf("a silent connection accepted %d bytes and gave %v; want %d bytes, and then a timeout", n, err, etcdtest.Window)
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
	silent(t, member) // the member does not know yet that the connection is closed
	l.Mend()
	receives(t, member, "last words")
	if _, err := member.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the member got %v, want the end of the connection", err)
	}
}

// A read that was blocked before the fault does not use the queue.
func TestCloseEndsAReadThatBeganBeforeTheFault(t *testing.T) {
	l := newLine(t)
	for range 10 {
		client, member := l.connect()
		began, ended := make(chan struct{}), make(chan error)
		go func() {
			b := make([]byte, 1)
			client.Read(b)
			close(began)
			_, err := client.Read(b)
			ended <- err
		}()
		must(member.Write([]byte("x")))(t)
		<-began
		runtime.Gosched() // to the next read
		l.Swallow()
		check(t, client.Close())
		select {
		case err := <-ended:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("a read of a closed connection gives %v, want net.ErrClosed", err)
			}
		case <-time.After(within):
			t.Fatal("a read of a closed connection does not end")
		}
		l.Mend()
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
		t.Errorf("the client got %v, want the end of the connection", err)
	}
}
