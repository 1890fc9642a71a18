package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// connectFor is how long Linux tries to connect, with the default of tcp_syn_retries.
const connectFor = 127 * time.Second

// Dial connects a client's host, given by its name, with an address. It returns when the member's kernel has answered. The member
// may not have accepted the connection yet.
func (n *Network) Dial(ctx context.Context, from, address string) (net.Conn, error) {
	c, err := n.dial(ctx, link{from, address})
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: addr(address), Err: err}
	}
	return c.client, nil
}

// Dialer returns a dialer of a client's host, in the form that grpc.WithContextDialer wants.
func (n *Network) Dialer(from string) func(ctx context.Context, address string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) { return n.Dial(ctx, from, address) }
}

func (n *Network) dial(ctx context.Context, l link) (*connection, error) {
	began := time.Now()
	for {
		c, again, changed, err := n.attempt(l, began)
		if c != nil || err != nil {
			return c, err
		}
		if err := waitFor(ctx, changed, again); err != nil {
			return nil, err
		}
	}
}

// attempt connects if the first packet and its answer have arrived by now. If not, it returns when to try again at the latest, and a channel
// that is closed when there is a reason to try earlier.
func (n *Network) attempt(l link, began time.Time) (c *connection, again time.Time, changed chan struct{}, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	giveUp := began.Add(connectFor)
	now := n.passages(l)
	there := began.Add(now[requests].delay + now[answers].delay)
	h := n.hosts[l.to]
	switch {
	case n.closed:
		return nil, there, nil, net.ErrClosed
	case h == nil:
		return nil, there, nil, unknown(l.to)
	case !time.Now().Before(giveUp):
		return nil, there, nil, os.NewSyscallError("connect", syscall.ETIMEDOUT)
	case now[requests].blocked || now[answers].blocked:
		return nil, giveUp, n.changed, nil
	case time.Now().Before(there):
		return nil, earlier(there, giveUp), n.changed, nil
	case h.listener == nil || n.refuses(l):
		return nil, there, nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	case h.listener.full():
		return nil, giveUp, n.changed, nil
	}
	c = n.connect(l)
	h.listener.offer(c)
	return c, there, nil, nil
}

// unknown returns the error of a dial to an address where nothing ever listened.
func unknown(address string) error {
	if _, err := netip.ParseAddrPort(address); err == nil {
		return os.NewSyscallError("connect", syscall.EHOSTUNREACH)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	return &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// waitFor returns when changed is closed or the time has come. It returns an error when ctx ends.
func waitFor(ctx context.Context, changed <-chan struct{}, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		return interrupted{ctx.Err()}
	}
	return nil
}

// interrupted is the error of a dial whose context has ended, in the words of package net.
type interrupted struct{ err error }

func (i interrupted) Error() string {
	if errors.Is(i.err, context.DeadlineExceeded) {
		return "i/o timeout"
	}
	return "operation was canceled"
}

// Timeout makes the error a net.Error that is a timeout.
func (i interrupted) Timeout() bool { return errors.Is(i.err, context.DeadlineExceeded) }

// Temporary is part of net.Error.
func (i interrupted) Temporary() bool { return i.Timeout() }

func (i interrupted) Unwrap() error { return i.err }
