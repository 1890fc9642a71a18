package suite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Watching is one watch that a check runs. It runs in a goroutine, so a store that hangs does not make the check hang. It takes a batch
// from the store only when the check wants one. So a check that reads no further is a stuck consumer.
type Watching struct {
	E         *Env
	id        int32 // distinguishes watches of one range
	R         kv.Range
	After     kv.Revision
	Cancel    context.CancelFunc
	Begun     chan struct{} // closed just before the store is called
	asked     chan struct{}
	given     chan kv.Batch
	Brk       chan struct{} // closed to leave the loop at the next batch
	ended     chan struct{} // closed when the sequence has returned
	body      atomic.Int32  // where the loop over the sequence is
	err       error         // the last error; set before ended is closed; nil if it ended without one
	Extra     bool          // it continued after an error
	WithBatch bool          // the error came with a batch that is not zero

	Batches  []kv.Batch  // what the check has read, bookmarks too
	busy     bool        // the last batch was taken, and no other one was requested
	furthest kv.Revision // the highest revision of the batches
	idle     int         // how many of the last batches had no higher revision
}

// idleBatches is how many batches in a row may have no higher revision than the batches before. A watch with more of them repeats itself,
// and may do so for ever.
const idleBatches = 1000

func (w *Watching) String() string {
	return fmt.Sprintf("watch %d, of %s after %d", w.id, w.E.ShortRange(w.R), w.After)
}

// Watch starts a watch of the check's store.
func (e *Env) Watch(r kv.Range, after kv.Revision) *Watching {
	return e.WatchVia(e.Context(), e.Store, r, after)
}

// WatchVia starts a watch of s with a context derived from ctx. It ends with the check.
func (e *Env) WatchVia(ctx context.Context, s kv.Store, r kv.Range, after kv.Revision) *Watching {
	ctx, cancel := context.WithCancel(ctx)
	w := &Watching{
		E: e, id: e.watches.Add(1), R: r, After: after, Cancel: cancel,
		Begun: make(chan struct{}), asked: make(chan struct{}), given: make(chan kv.Batch), Brk: make(chan struct{}), ended: make(chan struct{}),
	}
	e.Logf("begin %s", w)
	stop := make(chan struct{})
	go func() {
		defer close(w.ended)
		defer e.Trace.reportPanic()
		close(w.Begun)
		sequence := s.Watch(ctx, r, after)
		if sequence == nil {
			e.Errorf("Watch returned nil instead of a sequence")
			return
		}
		sequence(w.loop(func(batch kv.Batch, err error) bool {
			if w.err != nil {
				w.Extra = true
				return false
			}
			if err != nil {
				w.err, w.WithBatch = err, batch.Revision != 0 || batch.Events != nil
				return true
			}
			select {
			case w.given <- batch:
			case <-w.Brk:
				return false
			case <-stop:
				return false
			}
			// The consumer is busy until it asks for more.
			select {
			case <-w.asked:
				return true
			case <-w.Brk:
				return false
			case <-stop:
				return false
			}
		}))
		w.body.Store(bodyOver)
	}()
	e.Cleanup(func() {
		close(stop)
		cancel()
		w.Finished(e.AtOnce())
	})
	return w
}

// Where the loop over a sequence is.
const (
	bodyWaits   = iota // for the next batch
	bodyRuns           // with a batch
	bodyStopped        // by a break or a return: yield has returned false
	bodyOver           // the sequence has returned
)

// loop makes a body of a loop into the function that a sequence yields to. It reports a sequence that does not keep to the rules of iterators,
// and ends the goroutine that broke them. In a range statement that goroutine would panic, and if it is the store's, end the process.
func (w *Watching) loop(body func(kv.Batch, error) bool) func(kv.Batch, error) bool {
	return func(batch kv.Batch, err error) bool {
		if !w.body.CompareAndSwap(bodyWaits, bodyRuns) {
			w.E.Errorf("%s calls yield %s", w, map[int32]string{
				bodyRuns:    "while another call of yield is running: only the goroutine that iterates may call it",
				bodyStopped: "again, after yield has returned false: the loop has ended by break, and the sequence has to return",
				bodyOver:    "after the sequence has returned",
			}[w.body.Load()])
			runtime.Goexit()
		}
		if more := body(batch, err); !more {
			w.body.Store(bodyStopped)
			return false
		}
		w.body.Store(bodyWaits)
		return true
	}
}

// Finished reports whether the sequence returns within d.
func (w *Watching) Finished(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.ended:
		return true
	case <-timer.C:
		return false
	}
}

// TryNext waits for the next batch and returns it. If there is none, ok is false. Then err is the error that the watch ended with, or
// ErrInVain if the watch has not ended and brought nothing.
func (w *Watching) TryNext() (batch kv.Batch, err error, ok bool) {
	return w.NextWithin(w.E.Backend.patience())
}

func (w *Watching) NextWithin(d time.Duration) (batch kv.Batch, err error, ok bool) {
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
		w.Batches = append(w.Batches, batch)
		w.E.Logf("  %s yields %s", w, DescribeBatches([]kv.Batch{batch}))
		if w.idle++; batch.Revision > w.furthest {
			w.furthest, w.idle = batch.Revision, 0
		}
		if w.idle > idleBatches {
			w.E.Fatalf("%s repeats itself: it has yielded %d batches in a row that go no further than revision %d, the last being %s",
				w, w.idle, w.furthest, w.lastBatches())
		}
		return batch, nil, true
	case <-w.ended:
		w.E.Logf("  %s ends: %v", w, w.err)
		return kv.Batch{}, w.err, false
	case <-timer.C:
		return kv.Batch{}, ErrInVain, false
	}
}

// Next returns the next batch, and ends the check if there is none.
func (w *Watching) Next() kv.Batch {
	batch, err, ok := w.TryNext()
	if !ok {
		w.E.Fatalf("%s has %d events, the last batches being %s. It should go on, but: %s",
			w, len(w.Events()), w.lastBatches(), EndText(err))
	}
	return batch
}

func EndText(err error) string {
	switch {
	case errors.Is(err, ErrInVain):
		return "nothing comes any more"
	case err == nil:
		return "it stopped without an error"
	}
	return "it ended with: " + err.Error()
}

func (w *Watching) lastBatches() string {
	if len(w.Batches) == 0 {
		return "none"
	}
	return DescribeBatches(w.Batches[max(0, len(w.Batches)-3):])
}

// Through reads until the watch is complete up to rev, by an event.
func (w *Watching) Through(rev kv.Revision) *Watching {
	for {
		if n := len(w.Batches); n > 0 {
			if b := w.Batches[n-1]; !b.IsBookmark() && b.Revision >= rev {
				return w
			}
		}
		w.Next()
	}
}

// UntilEnd reads until the watch ends, and returns its last error.
func (w *Watching) UntilEnd() error {
	for {
		if _, err, ok := w.TryNext(); !ok {
			return err
		}
	}
}

// Events returns the events of all batches read.
func (w *Watching) Events() []kv.Event {
	var events []kv.Event
	for _, b := range w.Batches {
		events = append(events, b.Events...)
	}
	return events
}

// Stop ends the watch as a reader that has read enough does.
func (w *Watching) Stop() {
	close(w.Brk)
	w.Cancel()
	w.E.Logf("stop %s", w)
}

// Position returns the revision after which another watch continues where this watch is.
func (w *Watching) Position() kv.Revision {
	if n := len(w.Batches); n > 0 {
		return w.Batches[n-1].Revision
	}
	return w.After
}

// ExpectAll requires the events that were read to be exactly those of the ledger up to the last batch. In ranges with other keys than
// those of the check, the other keys are ignored.
func (w *Watching) ExpectAll() { w.ExpectEvents(w.Events(), w.After, w.Position()) }

// ExpectEvents requires got to be exactly the events of the ledger after one revision and up to another.
func (w *Watching) ExpectEvents(got []kv.Event, after, through kv.Revision) {
	var want, own []kv.Event
	for _, event := range w.E.Ledger.EventsAfter(w.R, after) {
		if event.ModRevision <= through {
			want = append(want, event)
		}
	}
	for _, event := range got {
		if hasPrefix(event.Key, w.E.Prefix) || w.E.Ledger.mentions(event.Key) {
			own = append(own, event)
		}
	}
	if diff := w.E.eventsDiffer(want, own); diff != "" {
		w.E.Errorf("%s: the events after revision %d, up to %d, are not those that were written:\n%s", w, after, through, diff)
	}
}
