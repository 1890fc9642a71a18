package backendtest

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// Dial opens a connection to the server. It is what most clients accept as an option, such as [net.Dialer.DialContext].
type Dial = func(ctx context.Context, network, address string) (net.Conn, error)

// Link is the network between one client and its server. Give its DialContext to the client. A fault concerns all connections that
// were made over the link. The methods may be called concurrently. A Link works in a [testing/synctest] bubble, if the server's
// connections do.
//
// The connections that the client gets behave as TCP's do: they have deadlines, and what the client sends waits in a buffer of 1 MiB
// while the link swallows everything.
type Link struct {
	dial    Dial
	closed  context.Context // ends with Close
	close   context.CancelFunc
	running sync.WaitGroup // what sends, after Heal, what was not sent

	mu    sync.Mutex
	state state
	whole chan struct{} // closed while the link does not swallow
	conns map[*conn]struct{}
}

type state int

const (
	passing state = iota
	swallowing
	cut
)

// NewLink returns a link over the connections that dial opens. Close it after the client.
func NewLink(dial Dial) *Link {
	l := &Link{dial: dial, whole: make(chan struct{}), conns: make(map[*conn]struct{})}
	close(l.whole)
	l.closed, l.close = context.WithCancel(context.Background())
	return l
}

// Swallow makes the network lose everything silently, as when a cable is pulled: nothing that is sent arrives, in either
// direction, no connection ends, and new ones are not answered. After Heal, what was sent is delivered, as TCP sends it again.
func (l *Link) Swallow() { l.become(swallowing) }

// Cut ends all connections and refuses new ones, as when the server's machine is up and the server is not. The errors match
// [syscall.ECONNRESET] and [syscall.ECONNREFUSED].
func (l *Link) Cut() {
	l.become(cut)
	l.Drop()
}

// Heal ends Swallow and Cut.
func (l *Link) Heal() { l.become(passing) }

// Drop ends all connections once. New ones can be made at once.
func (l *Link) Drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.reset()
	}
	clear(l.conns)
}

// Close ends all connections, and waits until nothing of the link runs any more. No more can be made.
func (l *Link) Close() {
	l.close()
	l.Cut()
	l.running.Wait()
}

func (l *Link) become(s state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state != swallowing && s == swallowing:
		l.whole = make(chan struct{})
	case l.state == swallowing && s != swallowing:
		close(l.whole)
		for c := range l.conns {
			if s == passing {
				l.running.Go(c.heal)
			}
		}
	}
	l.state = s
}

// passing reports whether the link does not swallow what is sent.
func (l *Link) passing() bool { return l.swallows() == nil }

// swallows returns a channel that is closed when the link does not swallow any more, and nil if it does not.
func (l *Link) swallows() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != swallowing {
		return nil
	}
	return l.whole
}

// forget removes a connection that has ended.
func (l *Link) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// DialContext opens a connection to the server. While the link swallows everything, it waits until ctx ends.
func (l *Link) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if err := l.passed(ctx); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	server, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == cut || l.closed.Err() != nil {
		server.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	c := &conn{Conn: server, link: l, closed: make(chan struct{})}
	l.conns[c] = struct{}{}
	return c, nil
}

// passed waits until the link does not swallow what is sent.
func (l *Link) passed(ctx context.Context) error {
	for {
		l.mu.Lock()
		state, whole := l.state, l.whole
		l.mu.Unlock()
		switch {
		case l.closed.Err() != nil, state == cut:
			return syscall.ECONNREFUSED
		case state == passing:
			return nil
		}
		select {
		case <-whole:
		case <-ctx.Done():
			return ctx.Err()
		case <-l.closed.Done():
		}
	}
}
