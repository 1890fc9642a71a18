package network_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

func TestADialFailsWithTheErrorOfTheKernel(t *testing.T) {
	for name, c := range map[string]struct {
		wrong    func(w *world)
		address  string
		patience time.Duration // until the context is cancelled, if not zero
		text     string
		cause    error
		after    time.Duration
	}{
		"the process does not run": {
			wrong: func(w *world) { w.listener.Close() },
			text:  "dial tcp 10.0.0.1:2379: connect: connection refused", cause: syscall.ECONNREFUSED,
		},
		"the port is closed": {
			wrong: func(w *world) { w.To(member).Refuse() },
			text:  "dial tcp 10.0.0.1:2379: connect: connection refused", cause: syscall.ECONNREFUSED,
		},
		"the port is closed, far away": {
			wrong: func(w *world) { w.To(member).Refuse(); w.To().Delay(time.Second, 0) },
			text:  "dial tcp 10.0.0.1:2379: connect: connection refused", cause: syscall.ECONNREFUSED, after: 2 * time.Second,
		},
		"the machine is gone": {
			wrong: func(w *world) { w.To(member).Swallow() },
			text:  "dial tcp 10.0.0.1:2379: connect: connection timed out", cause: syscall.ETIMEDOUT, after: 127 * time.Second,
		},
		"the machine is gone, and the context ends": {
			wrong:    func(w *world) { w.To(member).SwallowAnswers() },
			patience: time.Minute,
			text:     "dial tcp 10.0.0.1:2379: operation was canceled", cause: context.Canceled, after: time.Minute,
		},
		"there is no route": {
			address: "10.9.9.9:2379",
			text:    "dial tcp 10.9.9.9:2379: connect: no route to host", cause: syscall.EHOSTUNREACH,
		},
		"there is no such host": {
			address: "nowhere:2379",
			text:    "dial tcp nowhere:2379: lookup nowhere: no such host",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				if c.wrong != nil {
					c.wrong(w)
				}
				if c.address == "" {
					c.address = member
				}
				ctx, cancel := context.WithCancel(w.t.Context())
				defer cancel()
				if c.patience > 0 {
					time.AfterFunc(c.patience, cancel)
				}
				began := time.Now()
				_, err := w.Dial(ctx, "app", c.address)
				took := time.Since(began)
				if c.cause != nil {
					w.fails(err, c.text, c.cause)
				} else if err == nil || err.Error() != c.text {
					t.Errorf("the error is %v; want %q", err, c.text)
				}
				if took != c.after {
					t.Errorf("it failed after %v; want %v", took, c.after)
				}
			})
		})
	}
}

func TestADialThatTimesOutReturnsATimeout(t *testing.T) {
	inBubble(t, func(w *world) {
		w.To().Swallow()
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		_, err := w.Dial(ctx, "app", member)
		if w.fails(err, "dial tcp 10.0.0.1:2379: i/o timeout", context.DeadlineExceeded); !isTimeout(err) {
			t.Errorf("%v is no timeout", err)
		}
	})
}

func TestADialSucceedsWhenTheNetworkIsMended(t *testing.T) {
	inBubble(t, func(w *world) {
		w.To(member).Swallow()
		time.AfterFunc(time.Minute, func() { w.To(member).Mend() })
		began := time.Now()
		w.connect()
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it took %v; want a minute", took)
		}
	})
}

// The kernel accepts connections for a process that does not accept, until the backlog of the listener is full.
func TestAFullBacklogBlocksDials(t *testing.T) {
	inBubble(t, func(w *world) {
		for range 128 {
			if _, err := w.Dial(w.t.Context(), "app", member); err != nil {
				t.Fatal(err)
			}
		}
		dialled := make(chan error)
		go func() {
			_, err := w.Dial(w.t.Context(), "app", member)
			dialled <- err
		}()
		time.Sleep(time.Minute)
		select {
		case err := <-dialled:
			t.Fatalf("the 129th dial returned before anything was accepted: %v", err)
		default:
		}
		if _, err := w.listener.Accept(); err != nil {
			t.Fatal(err)
		}
		if err := <-dialled; err != nil {
			t.Error(err)
		}
	})
}

func TestAnAddressHasOneListener(t *testing.T) {
	inBubble(t, func(w *world) {
		_, err := w.Listen(member)
		w.fails(err, "listen tcp 10.0.0.1:2379: bind: address already in use", syscall.EADDRINUSE)
		w.listener.Close()
		if _, err := w.listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept of a closed listener returned %v", err)
		}
		w.listen()
		w.connect()
	})
}
