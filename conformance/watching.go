package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// watching is one watch that a check runs. It has a goroutine of its own, so that a store that hangs does not
// hang the check, and asks the store for a batch only when the check does: to read no further is to be a stuck
// consumer.
type watching struct {
	e      *env
	id     int32 // tells watches of one range apart
	r      kv.Range
	after  kv.Revision
	cancel context.CancelFunc
	begun  chan struct{} // closed when the store is about to be asked
	asked  chan struct{}
	given  chan kv.Batch
	brk    chan struct{} // closed to break out of the loop at the next batch
	ended  chan struct{} // closed when the sequence has returned
	err    error         // how it ended; set before ended is closed, nil if it just stopped
	extra  bool          // it went on after an error
	beside bool          // the error came with a batch that is not zero

	batches  []kv.Batch  // what the check has read, bookmarks too
	busy     bool        // the last batch was taken, and no other asked for
	furthest kv.Revision // the highest of batches
	idle     int         // how many of the last batches went no further
}

// idleBatches is how many batches may follow each other that go no further than the ones before. A watch with more of them
// repeats itself, and may do so for ever.
const idleBatches = 1000

func (w *watching) String() string {
	return fmt.Sprintf("watch %d, of %s after %d", w.id, w.e.shortRange(w.r), w.after)
}

// watch starts a watch of the check's store.
func (e *env) watch(r kv.Range, after kv.Revision) *watching {
	return e.watchVia(e.Context(), e.store, r, after)
}

// watchVia starts a watch of s with a context under ctx. The check's end ends it.
func (e *env) watchVia(ctx context.Context, s kv.Store, r kv.Range, after kv.Revision) *watching {
	ctx, cancel := context.WithCancel(ctx)
	w := &watching{
		e: e, id: e.watches.Add(1), r: r, after: after, cancel: cancel,
		begun: make(chan struct{}), asked: make(chan struct{}), given: make(chan kv.Batch), brk: make(chan struct{}), ended: make(chan struct{}),
	}
	e.Logf("begin %s", w)
	stop := make(chan struct{})
	go func() {
		defer close(w.ended)
		close(w.begun)
		for batch, err := range s.Watch(ctx, r, after) {
			if w.err != nil {
				w.extra = true
				return
			}
			if err != nil {
				w.err, w.beside = err, batch.Revision != 0 || batch.Events != nil
				continue
			}
			select {
			case w.given <- batch:
			case <-w.brk:
				return
			case <-stop:
				return
			}
			// The consumer is busy until it asks for more.
			select {
			case <-w.asked:
			case <-w.brk:
				return
			case <-stop:
				return
			}
		}
	}()
	e.Cleanup(func() {
		close(stop)
		cancel()
		w.finished(e.atOnce())
	})
	return w
}

// finished reports whether the sequence returns within d.
func (w *watching) finished(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.ended:
		return true
	case <-timer.C:
		return false
	}
}

// tryNext returns the next batch, which it waits for. Without one, ok is false and err says how the watch ended,
// or is errInVain if it neither ended nor had more to say.
func (w *watching) tryNext() (batch kv.Batch, err error, ok bool) {
	return w.nextWithin(w.e.backend.patience())
}

func (w *watching) nextWithin(d time.Duration) (batch kv.Batch, err error, ok bool) {
	if w.busy {
		select {
		case w.asked <- struct{}{}:
		case <-w.ended:
		}
		w.busy = false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case batch = <-w.given:
		w.busy = true
		w.batches = append(w.batches, batch)
		w.e.Logf("  %s yields %s", w, describeBatches([]kv.Batch{batch}))
		if w.idle++; batch.Revision > w.furthest {
			w.furthest, w.idle = batch.Revision, 0
		}
		if w.idle > idleBatches {
			w.e.Fatalf("%s repeats itself: it has yielded %d batches in a row that go no further than revision %d, the last being %s",
				w, w.idle, w.furthest, w.lastBatches())
		}
		return batch, nil, true
	case <-w.ended:
		w.e.Logf("  %s ends: %v", w, w.err)
		return kv.Batch{}, w.err, false
	case <-timer.C:
		return kv.Batch{}, errInVain, false
	}
}

// next returns the next batch, and ends the check if there is none.
func (w *watching) next() kv.Batch {
	batch, err, ok := w.tryNext()
	if !ok {
		w.e.Fatalf("%s has %d events, the last batches being %s. It should go on, but: %s",
			w, len(w.events()), w.lastBatches(), endText(err))
	}
	return batch
}

func endText(err error) string {
	switch {
	case errors.Is(err, errInVain):
		return "nothing comes any more"
	case err == nil:
		return "it stopped without an error"
	}
	return "it ended with: " + err.Error()
}

func (w *watching) lastBatches() string {
	if len(w.batches) == 0 {
		return "none"
	}
	return describeBatches(w.batches[max(0, len(w.batches)-3):])
}

// through reads until the watch is complete up to rev, by an event.
func (w *watching) through(rev kv.Revision) *watching {
	for {
		if n := len(w.batches); n > 0 {
			if b := w.batches[n-1]; !b.IsBookmark() && b.Revision >= rev {
				return w
			}
		}
		w.next()
	}
}

// untilEnd reads until the watch ends, and returns how it did.
func (w *watching) untilEnd() error {
	for {
		if _, err, ok := w.tryNext(); !ok {
			return err
		}
	}
}

// events returns the events of all batches read.
func (w *watching) events() []kv.Event {
	var events []kv.Event
	for _, b := range w.batches {
		events = append(events, b.Events...)
	}
	return events
}

// stop ends the watch as a reader does that has read enough.
func (w *watching) stop() {
	close(w.brk)
	w.cancel()
	w.e.Logf("stop %s", w)
}

// position is the revision to watch after, to go on where this watch is.
func (w *watching) position() kv.Revision {
	if n := len(w.batches); n > 0 {
		return w.batches[n-1].Revision
	}
	return w.after
}

// expectAll requires the events read to be exactly those of the ledger, as far as the watch was read. Keys that
// the check did not write are left aside, in ranges beyond its own.
func (w *watching) expectAll() { w.expectEvents(w.events(), w.after, w.position()) }

// expectEvents requires got to be exactly the ledger's events after one revision and up to another.
func (w *watching) expectEvents(got []kv.Event, after, through kv.Revision) {
	var want, own []kv.Event
	for _, event := range w.e.ledger.eventsAfter(w.r, after) {
		if event.ModRevision <= through {
			want = append(want, event)
		}
	}
	for _, event := range got {
		if hasPrefix(event.Key, w.e.prefix) || w.e.ledger.mentions(event.Key) {
			own = append(own, event)
		}
	}
	if diff := w.e.difference(seenEvents(want), seenEvents(own)); diff != "" {
		w.e.Errorf("%s: the events after revision %d, up to %d, are not those that were written:\n%s", w, after, through, diff)
	}
}
