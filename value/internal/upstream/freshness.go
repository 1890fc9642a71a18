package upstream

import (
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Freshness connects those who want a linearizable read begun after they asked with the upstream that makes
// it. Everybody takes a ticket; one read serves all tickets taken before it began.
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

// UpTo is the revision up to which an update of a revision and an epoch that is the newest is known to be so.
func (c *Confirmation) UpTo(revision kv.Revision, epoch uint64) kv.Revision {
	if c.epoch != epoch {
		return revision
	}
	return max(c.revision, revision)
}

// Reaches reports whether an update that is the newest is known to be so at the revision wanted. A history that has
// replaced another, and is not there yet, is not one that the revision wanted is of.
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

// confirm says that a read for ticket, begun then, was answered, and that the watchers can see everything
// up to revision of the history epoch. Only the upstream calls it.
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
