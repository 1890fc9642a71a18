package upstream

import (
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Freshness connects the watchers that want a linearizable read with the upstream that makes it. The read must begin after they asked.
// Each watcher takes a ticket, and one read serves all tickets that were taken before it began.
type Freshness struct {
	wanted    atomic.Uint64 // the last ticket taken
	demand    chan struct{} // a ticket was taken
	hurried   chan struct{} // by a watcher that was just opened, and need not sit out a long delay
	Confirmed atomic.Pointer[Confirmation]
}

// Confirmation is the last read that was answered, and shown to the watchers.
type Confirmation struct {
	Ticket   uint64
	Began    time.Time
	revision kv.Revision   // the watchers can see everything up to here
	epoch    uint64        // the history that revision is of
	Next     chan struct{} // closed when there is another confirmation
}

// UpTo takes the revision and the epoch of the newest update. It returns the revision up to which no other update is known to follow.
func (c *Confirmation) UpTo(revision kv.Revision, epoch uint64) kv.Revision {
	if c.epoch != epoch {
		return revision
	}
	return max(c.revision, revision)
}

// Reaches takes the revision and the epoch of the newest update, and reports whether it is known to be the newest at the revision wanted.
// After a history was replaced and before the new one has come that far, it reports true: wanted was a revision of the old history.
func (c *Confirmation) Reaches(revision kv.Revision, epoch uint64, wanted kv.Revision) bool {
	return c.UpTo(revision, epoch) >= wanted || c.epoch == epoch && epoch > 0
}

func NewFreshness() *Freshness {
	f := &Freshness{demand: make(chan struct{}, 1), hurried: make(chan struct{}, 1)}
	f.Confirmed.Store(&Confirmation{Next: make(chan struct{})})
	return f
}

// Want asks for a read.
func (f *Freshness) Want(hurry bool) (ticket uint64) {
	ticket = f.wanted.Add(1)
	signal(f.demand)
	if hurry {
		signal(f.hurried)
	}
	return ticket
}

func (f *Freshness) isWanted() bool { return f.wanted.Load() > f.Confirmed.Load().Ticket }

// calm forgets a hurry that has been met.
func (f *Freshness) calm() {
	select {
	case <-f.hurried:
	default:
	}
}

// confirm takes that a read for ticket was answered, when the read began, and up to which revision of the history epoch the watchers can
// see everything. Only the upstream calls it.
func (f *Freshness) confirm(ticket uint64, began time.Time, revision kv.Revision, epoch uint64) {
	last := f.Confirmed.Load()
	f.Confirmed.Store(&Confirmation{
		Ticket: max(ticket, last.Ticket), Began: began, revision: revision, epoch: epoch, Next: make(chan struct{}),
	})
	close(last.Next)
}

// signal leaves a token in c, which has room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
