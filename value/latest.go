package value

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// latest is what [Value.Latest] returns: the newest good update.
type latest[T any] struct {
	keep bool                      // a deletion leaves good as it is
	good atomic.Pointer[update[T]] // nil if there is none
	read atomic.Pointer[time.Time] // when the first read of the newest upstream began; set before it is offered

	mu sync.Mutex
	at instant // of the newest update that was offered: a good one, or a deletion
}

// instant is a revision of a history.
type instant struct {
	epoch    uint64
	revision kv.Revision
}

// offer takes u, which is good, unless it is older than what was offered before. exists is false if u is a deletion.
func (l *latest[T]) offer(u *update[T], exists bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u.epoch < l.at.epoch || u.epoch == l.at.epoch && u.Revision <= l.at.revision {
		return
	}
	l.at = instant{u.epoch, u.Revision}
	switch {
	case exists:
		l.good.Store(u)
	case !l.keep:
		l.good.Store(nil)
	}
}

// offerLastKnown takes u, which was loaded, if no value was seen.
func (l *latest[T]) offerLastKnown(u *update[T]) {
	if good := l.good.Load(); good == nil || good.isLastKnown() {
		l.good.CompareAndSwap(good, u)
	}
}

// forgetLastKnown leaves no update that was loaded.
func (l *latest[T]) forgetLastKnown() {
	if u := l.good.Load(); u != nil && u.isLastKnown() {
		l.good.CompareAndSwap(u, nil)
	}
}

// since returns the revision, in the history epoch, of what was offered last. It is -1 if that is of another history.
func (l *latest[T]) since(epoch uint64) kv.Revision {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.epoch != epoch {
		return -1
	}
	return l.at.revision
}

// begin takes when the first read of an upstream began, which is offered next. It may be of any revision: the store may have been replaced
// while no watcher was open.
func (l *latest[T]) begin(read time.Time) {
	l.read.Store(&read)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at.revision = -1
}

// confirmed is when u was confirmed, if the last confirmation was at a time: before the first one, what was last known may be at hand, or
// the read that is about to be the first.
func (l *latest[T]) confirmed(u *update[T], at time.Time) time.Time {
	switch {
	case u.isLastKnown():
		return u.kept.confirmed
	case at.IsZero():
		return *l.read.Load()
	}
	return at
}
