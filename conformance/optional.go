package conformance

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// statChecks are those of a store that is a kv.Stater.
var statChecks = []check{
	{"Stater", "fresh", "puts and deletes keys many times, and stats them after each, alone and together", 0, func(e *env) {
		s := e.stater()
		a, b := e.key("a"), e.key("b")
		for i := range 30 {
			key := []string{a, b}[i%2]
			if i%5 == 4 {
				e.delete(key)
			} else {
				e.put(key, fmt.Sprint("value ", i))
			}
			for _, r := range []kv.Range{kv.Key(a), kv.Key(b), e.all()} {
				e.expectStat(s, r, e.ledger.last())
			}
		}
	}},
	{"Stater", "one-revision", "stats many keys in a range while its first and its last key are put in turns", 0, func(e *env) {
		s := e.stater()
		e.fill(600)
		first, last := e.key("!first"), e.key("~last")
		write := func(i int) error {
			if _, err := e.tryPut(e.store, first, fmt.Sprint(i)); err != nil {
				return err
			}
			_, err := e.tryPut(e.store, last, fmt.Sprint(i))
			return err
		}
		other := e.traffic(1, func(_, i int) error { return write(i) })
		var got []kv.Snapshot
		for i := range 10 {
			other.more()
			e.must("write", write(-i))
			got = append(got, e.stat(s, e.all()))
		}
		other.stop()
		for _, snapshot := range got {
			e.expectEntriesWithoutValues(e.all(), snapshot)
		}
	}},
	{"Stater", "absent", "stats ranges in which nothing ever was, and those in which all was deleted", 0, func(e *env) {
		s := e.stater()
		last := e.put(e.key("other"), "v")
		ranges := []kv.Range{kv.Key(e.key("k")), kv.Prefix(e.key("k")), kv.Interval(e.key("k"), e.key("l"))}
		for _, r := range ranges {
			e.expectNothing("stat", r, e.stat(s, r), last)
		}
		e.put(e.key("k"), "v")
		last = e.delete(e.key("k"))
		for _, r := range ranges {
			e.expectNothing("stat", r, e.stat(s, r), last)
		}
	}},
	{"Stater", "refused", "stats ranges that are invalid, and with a context that is done", 0, func(e *env) {
		s := e.stater()
		for _, refused := range []struct {
			ctx  context.Context
			r    kv.Range
			want error
		}{
			{e.Context(), kv.Key(""), kv.ErrInvalidKey},
			{e.Context(), kv.Interval("b", "a"), kv.ErrInvalidRange},
			{e.Context(), kv.Range{}, kv.ErrInvalidRange},
			{e.canceled(), e.all(), context.Canceled},
		} {
			_, err := s.Stat(refused.ctx, refused.r)
			e.expectError("stat "+refused.r.String(), err, refused.want)
		}
	}},
}

// acknowledgeChecks are those of a store that is a kv.Acknowledger.
var acknowledgeChecks = []check{
	{"Acknowledger", "waiting", "begins watches that have nothing to deliver yet: each is acknowledged", 0, func(e *env) {
		now := e.put(e.key("k"), "v")
		for _, after := range []kv.Revision{now, now + 100} {
			w, acks := e.watchAcknowledged(e.all(), after)
			acks.expectOnce(w)
			w.stop()
		}
	}},
	{"Acknowledger", "once-and-first", "reads watches of the past and of the present: each is acknowledged before its first batch, and then no more", 0, func(e *env) {
		start := e.get(e.all()).Revision
		e.churn(2, 20)
		past, pastAcks := e.watchAcknowledged(e.all(), start)
		present, presentAcks := e.watchAcknowledged(e.all(), e.get(e.all()).Revision)
		presentAcks.expectOnce(present) // so that it is under way
		var last kv.Revision
		for i := range 10 {
			last = e.put(e.key("k"), fmt.Sprint(i))
			present.through(last)
		}
		past.through(last)
		for w, acks := range map[*watching]*acknowledgements{past: pastAcks, present: presentAcks} {
			acks.expectOnce(w)
			w.expectAll()
		}
	}},
	{"Acknowledger", "refused", "begins watches of invalid ranges, after a negative revision, and with a context that is done: none is acknowledged", 0, func(e *env) {
		e.acknowledger()
		now := e.put(e.key("k"), "v")
		for _, refused := range []struct {
			ctx   context.Context
			r     kv.Range
			after kv.Revision
		}{
			{e.Context(), kv.Key(""), now}, {e.Context(), kv.Interval("b", "a"), now}, {e.Context(), kv.Range{}, now},
			{e.Context(), e.all(), -1}, {e.canceled(), e.all(), now},
		} {
			acks := &acknowledgements{e: e, Acknowledger: e.acknowledger()}
			w := e.watchVia(refused.ctx, acks, refused.r, refused.after)
			w.untilEnd()
			acks.expectNone(w)
		}
	}},
	{"Acknowledger", "cut-off", "begins a watch while the store is cut off: it is acknowledged only once that is healed, or ends", cut, func(e *env) {
		e.acknowledger()
		now := e.put(e.key("k"), "v")
		heal := e.cut()
		w, acks := e.watchAcknowledged(e.all(), now)
		w.nextWithin(50 * time.Millisecond)
		acks.expectNone(w)
		heal()
		last := e.put(e.key("k"), "after")
		for w.position() < last {
			if _, err, ok := w.tryNext(); !ok {
				e.expectError("a watch begun while cut off", err, kv.ErrUnavailable)
				return
			}
		}
		acks.expectOnce(w)
	}},
}

// progressChecks are those of W7 for a store that is a kv.ProgressRequester.
var progressChecks = []check{
	{"W7", "on-request", "requests progress of the store, of watches of the past, the present and the future, while others write: what bookmarks come are true", 0, func(e *env) {
		e.requestProgress()
		start := e.get(e.all()).Revision
		e.churn(2, 20)
		others := e.writers(2)
		var watches []*watching
		for range 3 {
			watches = append(watches, e.watch(e.all(), start), e.watch(e.all(), e.get(e.all()).Revision))
		}
		future := e.watch(e.all(), e.get(e.all()).Revision+10)
		for range 10 {
			others.more()
			e.requestProgress()
			for _, w := range watches {
				w.next()
			}
		}
		for future.position() > e.put(e.key("k"), "v") { // which it waits for
		}
		others.stop()
		e.requestProgress()
		last := e.put(e.key("last"), "v")
		for _, w := range append(watches, future) {
			truthful(e, w.through(last))
		}
	}},
	{"W7", "on-request-idle", "requests progress of the store while only other keys are written than the one that is watched: a bookmark comes", 0, func(e *env) {
		e.requestProgress()
		key := e.key("here")
		w := e.watch(kv.Key(key), e.get(kv.Key(key)).Revision)
		w.through(e.put(key, "1"))
		elsewhere := e.put(e.key("elsewhere"), "v")
		w.bookmarkAfterAsking(elsewhere, e.requestProgress)
		truthful(e, w.through(e.put(key, "2")))
		w.expectAll()
	}},
}

// stater returns the check's store, or ends the check.
func (e *env) stater() kv.Stater {
	s, ok := e.store.(kv.Stater)
	if !ok {
		e.moot("the store is no kv.Stater")
	}
	return s
}

func (e *env) stat(s kv.Stater, r kv.Range) kv.Snapshot {
	ctx, cancel := e.bounded()
	defer cancel()
	snapshot, err := s.Stat(ctx, r)
	e.Logf("stat %s -> %d entries at revision %d, %v", e.shortRange(r), len(snapshot.Entries), snapshot.Revision, err)
	e.must("stat "+r.String(), err)
	return snapshot
}

// expectStat stats r while nobody writes, and requires what a get must see, without the values.
func (e *env) expectStat(s kv.Stater, r kv.Range, rev kv.Revision) {
	got := e.stat(s, r)
	if got.Revision < rev {
		e.Errorf("stat %s saw revision %d, though revision %d was acknowledged before it began", e.shortRange(r), got.Revision, rev)
	}
	e.expectEntriesWithoutValues(r, got)
}

// expectEntriesWithoutValues requires the entries of r to be those of the ledger at the snapshot's own revision, less the
// values.
func (e *env) expectEntriesWithoutValues(r kv.Range, got kv.Snapshot) {
	want := e.ledger.entriesAt(r, got.Revision)
	for i := range want {
		want[i].Value = nil
	}
	for _, entry := range got.Entries {
		if entry.Value != nil {
			e.Errorf("stat %s returned the value %s of %s, and should return none", e.shortRange(r), brief(string(entry.Value)), e.short(entry.Key))
			return
		}
	}
	if diff := e.difference(seenEntries(want), seenEntries(got.Entries)); diff != "" {
		e.Errorf("stat %s, at revision %d, did not return the entries of that revision:\n%s", e.shortRange(r), got.Revision, diff)
	}
}

// acknowledger returns the check's store, or ends the check.
func (e *env) acknowledger() kv.Acknowledger {
	s, ok := e.store.(kv.Acknowledger)
	if !ok {
		e.moot("the store is no kv.Acknowledger")
	}
	return s
}

// acknowledgements is a store with the acknowledgements of its one watch.
type acknowledgements struct {
	e *env
	kv.Acknowledger
	came  atomic.Int32
	first chan struct{} // closed at the first
	late  atomic.Bool   // a batch came before it
}

func (e *env) watchAcknowledged(r kv.Range, after kv.Revision) (*watching, *acknowledgements) {
	acks := &acknowledgements{e: e, Acknowledger: e.acknowledger(), first: make(chan struct{})}
	return e.watchVia(e.Context(), acks, r, after), acks
}

func (a *acknowledgements) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	sequence := a.WatchAcknowledged(ctx, r, after, func() {
		if a.came.Add(1) == 1 && a.first != nil {
			close(a.first)
		}
	})
	return func(yield func(kv.Batch, error) bool) {
		for batch, err := range sequence {
			if err == nil && a.came.Load() == 0 {
				a.late.Store(true)
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// expectOnce waits for the acknowledgement of w, and requires it to have come before any batch, and once.
func (a *acknowledgements) expectOnce(w *watching) {
	timer := time.NewTimer(a.e.backend.patience())
	defer timer.Stop()
	select {
	case <-a.first:
	case <-timer.C:
		a.e.Errorf("%s was begun, and is not acknowledged", w)
		return
	}
	if a.late.Load() {
		a.e.Errorf("%s yielded a batch before it was acknowledged", w)
	}
	if n := a.came.Load(); n != 1 {
		a.e.Errorf("%s was acknowledged %d times, and should be once", w, n)
	}
}

// expectNone requires w not to have been acknowledged so far.
func (a *acknowledgements) expectNone(w *watching) {
	if n := a.came.Load(); n != 0 {
		a.e.Errorf("%s was acknowledged, though it has not begun", w)
	}
}

// requestProgress requests progress of the check's store, or ends the check.
func (e *env) requestProgress() {
	ctx, cancel := e.bounded()
	defer cancel()
	err := kv.RequestProgress(ctx, e.store)
	if errors.Is(err, kv.ErrUnsupported) {
		e.moot("the store is no kv.ProgressRequester")
	}
	e.must("RequestProgress", err)
}
