package pgkv

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/watchkv/watchkv/kv"
)

// tail follows the changes of a store for all watches of a Store, over one connection. It listens, reads new changes, keeps the newest
// changes in a window, and wakes the watches that they concern. It runs while there are watches.
type tail struct {
	store  *Store
	cancel context.CancelFunc // of run
	done   chan struct{}      // closed when run has returned
	failed chan struct{}      // closed when the watches must end with err
	err    error              // set before failed is closed

	window // the changes that watches read, see window.go
}

// join adds w to the watches of its Store's tail.
func (w *watching) join(ctx context.Context) error {
	s := w.store
	if err := s.usable(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return kv.ErrClosed
	}
	if s.tail == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.tail = &tail{store: s, cancel: cancel, done: make(chan struct{}), failed: make(chan struct{}), window: newWindow(s.config)}
		go s.tail.run(ctx)
	}
	w.tail = s.tail
	w.tail.add(w)
	return nil
}

// leave reverses join. The last watch ends the tail, and waits for its end.
func (w *watching) leave() {
	if w.tail == nil {
		return
	}
	s := w.store
	s.mu.Lock()
	last := w.tail.remove(w)
	if last && s.tail == w.tail {
		s.tail = nil
	}
	s.mu.Unlock()
	if last {
		w.tail.stop()
	}
}

// stop ends run, and waits for it.
func (t *tail) stop() {
	t.cancel()
	<-t.done
}

// fail ends the watches with err. Later watches begin with another tail.
func (t *tail) fail(err error) {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	if t.err == nil {
		t.err = err
		close(t.failed)
	}
	if t.store.tail == t {
		t.store.tail = nil
	}
}

// wakeAll wakes all watches.
func (s *Store) wakeAll() {
	s.mu.Lock()
	t := s.tail
	s.mu.Unlock()
	if t != nil {
		t.rouseAll()
	}
}

// run follows the changes until ctx ends, or until the server was unreachable for Config.Outage.
func (t *tail) run(ctx context.Context) {
	defer close(t.done)
	var heard time.Time // when the server last answered; zero if it never did
	slow := 0           // how many times the server was too slow since then
	for attempt := 0; ; attempt++ {
		before := heard
		err := t.follow(ctx, t.store.config.Timeout<<min(slow, 6), &heard)
		reason := failures.Op(ctx, "", err)
		switch {
		case ctx.Err() != nil:
			return
		case !errors.Is(reason, kv.ErrUnavailable), time.Since(heard) > t.store.config.Outage:
			t.fail(err)
			return
		}
		switch {
		case heard != before:
			attempt, slow = 0, 0
		case errors.Is(err, context.DeadlineExceeded):
			slow++
		}
		pause(ctx, min(10*time.Millisecond<<min(attempt, 10), time.Second))
	}
}

// pause waits for a random time of up to d.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// follow follows the changes over one connection until it fails. It notes in heard when the server has answered.
//
// It listens before it reads. So later notifications are not lost, and the read has the changes of earlier notifications.
func (t *tail) follow(ctx context.Context, limit time.Duration, heard *time.Time) error {
	conn, err := t.listen(ctx, limit)
	if err != nil {
		return err
	}
	defer hangUp(conn)
	var notified kv.Revision // the last revision that the server has notified
	for {
		if err := t.catchUp(ctx, conn, limit); err != nil {
			return err
		}
		*heard = time.Now()
		if notified, err = t.wait(ctx, conn, notified); err != nil {
			return err
		}
	}
}

// listen takes a connection out of the pool, and listens. So the connection is configured like those of the pool, but is not one of them.
func (t *tail) listen(ctx context.Context, limit time.Duration) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pooled, err := t.store.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	conn := pooled.Hijack()
	if _, err := conn.Exec(ctx, t.store.config.sql("LISTEN {listen}")); err != nil {
		hangUp(conn)
		return nil, err
	}
	return conn, nil
}

// hangUp ends a connection. It does not wait for the server, which may be unreachable.
func hangUp(conn *pgx.Conn) {
	if conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	conn.Close(ctx)
}

// catchUp reads the new changes.
func (t *tail) catchUp(ctx context.Context, conn *pgx.Conn, limit time.Duration) error {
	asked := t.takeAsked()
	for more := true; more; {
		if err := func() error {
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			last, history, ok := t.position()
			if !ok {
				st, history, err := t.store.now(ctx, conn)
				if err == nil {
					t.begin(history, st.revision)
				}
				more = false
				return err
			}
			page, st, found, err := t.store.page(ctx, conn, kv.All(), last)
			switch {
			case err != nil:
				return err
			case st.in(found, history, last) != nil:
				t.begin(found, st.revision) // its watches find out by themselves
				more = false
			default:
				t.extend(page.Events, page.UpTo)
				more = page.More
			}
			return nil
		}(); err != nil {
			return err
		}
	}
	t.wakeIfAsked(asked)
	return nil
}

// wait waits until there may be something to read: a revision was notified that was not read yet, it is time to poll, or a bookmark was
// requested. notified is the last revision that was notified. If the next one is lower, the history was replaced.
func (t *tail) wait(ctx context.Context, conn *pgx.Conn, notified kv.Revision) (kv.Revision, error) {
	limited, cancel := context.WithTimeout(ctx, t.store.config.Poll)
	defer cancel()
	if !t.interruptible(cancel) {
		return notified, nil
	}
	defer t.interruptible(nil)
	last, _, _ := t.position()
	for {
		n, err := conn.WaitForNotification(limited)
		switch {
		case err != nil && limited.Err() != nil && ctx.Err() == nil && !conn.IsClosed():
			return notified, nil
		case err != nil:
			return notified, err
		}
		number, err := strconv.ParseInt(n.Payload, 10, 64)
		before := notified
		notified = kv.Revision(number)
		if err != nil || notified > last || notified < before {
			return notified, nil
		}
	}
}
