package stores

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// statChecks are the checks of a store that is a kv.Stater.
var statChecks = []check{
	{"Stater", "fresh", "puts and deletes keys many times, and stats them after each write, separately and together", 0, func(e *env) {
		s := e.stater()
		a, b := e.Key("a"), e.Key("b")
		for i := range 30 {
			key := []string{a, b}[i%2]
			if i%5 == 4 {
				e.Delete(key)
			} else {
				e.Put(key, fmt.Sprint("value ", i))
			}
			for _, r := range []kv.Range{kv.Key(a), kv.Key(b), e.All()} {
				e.expectStat(s, r, e.Ledger.Last())
			}
		}
	}},
	{"Stater", "writes-of-others", "another store over the same data puts and deletes a key, and each time the check's store stats it; then the check's store is cut off, if the backend can do that: a stat during the cut fails", suite.Again, func(e *env) {
		s := e.stater()
		e.whileOthersWrite("stat", func(r kv.Range, rev kv.Revision) { e.expectStat(s, r, rev) }, func(ctx context.Context) error {
			_, err := s.Stat(ctx, e.All())
			return err
		})
	}},
	{"Stater", "only-the-range", "stats ranges of every kind, with keys at and next to their bounds", 0, func(e *env) {
		s := e.stater()
		e.putEdges()
		for _, r := range edgeRanges(e.Prefix) {
			got := e.stat(s, r)
			got.Entries = e.Own(r, got.Entries)
			e.expectEntriesWithoutValues(r, got)
		}
	}},
	{"Stater", "owned-by-the-caller", "changes the entries that a stat has returned: another stat does not see the change", 0, func(e *env) {
		s := e.stater()
		last := e.Put(e.Key("k"), "v")
		e.scribbleAll(e.stat(s, e.All()))
		e.expectStat(s, e.All(), last)
	}},
	{"Stater", "one-revision", "stats many keys in a range while the first ones and the last ones are put in turns", 0, func(e *env) {
		s := e.stater()
		e.fill(600)
		for _, snapshot := range suite.ReadDuring(e.Env, 10, e.putEnds, func() kv.Snapshot { return e.stat(s, e.All()) }) {
			e.expectEntriesWithoutValues(e.All(), snapshot)
		}
	}},
	{"Stater", "many-keys", "stats two thousand keys", 0, func(e *env) {
		s := e.stater()
		e.fill(2200)
		e.expectStat(s, e.All(), e.Ledger.Last())
	}},
	{"Stater", "absent", "stats ranges that never had an entry, and ranges whose entries were all deleted", 0, func(e *env) {
		s := e.stater()
		last := e.Put(e.Key("other"), "v")
		ranges := []kv.Range{kv.Key(e.Key("k")), kv.Prefix(e.Key("k")), kv.Interval(e.Key("k"), e.Key("l"))}
		for _, r := range ranges {
			e.expectNothing("stat", r, e.stat(s, r), last)
		}
		e.Put(e.Key("k"), "v")
		last = e.Delete(e.Key("k"))
		for _, r := range ranges {
			e.expectNothing("stat", r, e.stat(s, r), last)
		}
	}},
	{"Stater", "refused", "stats ranges that are invalid, and with a context that is done", 0, func(e *env) {
		s := e.stater()
		e.expectRefusals("stat", func(ctx context.Context, r kv.Range) error {
			_, err := s.Stat(ctx, r)
			return err
		})
	}},
}

// acknowledgeChecks are the checks of a store that is a kv.Acknowledger.
var acknowledgeChecks = []check{
	{"Acknowledger", "waiting", "begins watches that have nothing to deliver yet, after the present and after a future revision, and writes past it: each is acknowledged, and delivers what comes after its revision", 0, func(e *env) {
		now := e.Put(e.Key("k"), "v")
		for _, ahead := range []kv.Revision{0, 2} {
			w, acks := e.watchAcknowledged(e.All(), now+ahead)
			acks.expectOnce(w)
			now = e.writePast(w.After)
			early(e, w.Through(now))
			w.ExpectAll()
			w.Stop()
		}
	}},
	{"Acknowledger", "once-and-first", "reads watches of the past and of the present: each is acknowledged once, before its first batch, in the goroutine that iterates", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		e.churn(2, 20)
		past, pastAcks := e.watchAcknowledged(e.All(), start)
		present, presentAcks := e.watchAcknowledged(e.All(), e.Get(e.All()).Revision)
		presentAcks.expectOnce(present) // waits until the watch has begun
		var last kv.Revision
		for i := range 10 {
			last = e.Put(e.Key("k"), fmt.Sprint(i))
			present.Through(last)
		}
		past.Through(last)
		for w, acks := range map[*suite.Watching]*acknowledgements{past: pastAcks, present: presentAcks} {
			acks.expectOnce(w)
			w.ExpectAll()
		}
	}},
	{"Acknowledger", "refused", "begins watches of invalid ranges, after a negative revision, and with a context that is done: none is acknowledged", 0, func(e *env) {
		e.acknowledger()
		now := e.Put(e.Key("k"), "v")
		for _, refused := range []struct {
			ctx   context.Context
			r     kv.Range
			after kv.Revision
		}{
			{e.Context(), kv.Key(""), now}, {e.Context(), kv.Interval("b", "a"), now}, {e.Context(), kv.Range{}, now},
			{e.Context(), e.All(), -1}, {e.Canceled(), e.All(), now},
		} {
			acks := &acknowledgements{e: e, Acknowledger: e.acknowledger()}
			w := e.WatchVia(refused.ctx, acks, refused.r, refused.after)
			w.UntilEnd()
			acks.expectNone(w)
		}
	}},
	{"Acknowledger", "lost-stream", "ends the streams of the store while an acknowledged watch runs: the watch is not acknowledged again", suite.EndStreams, func(e *env) {
		w, acks := e.watchAcknowledged(e.All(), e.Put(e.Key("k"), "v"))
		acks.expectOnce(w)
		for i := range 3 {
			w.Through(e.Put(e.Key("k"), fmt.Sprint(i)))
			e.EndStreams()
			last := e.Put(e.Key("k"), "after the streams have ended")
			for w.Position() < last {
				if _, err, ok := w.TryNext(); !ok {
					e.expectLost(w, err)
					acks.expectOnce(w)
					return
				}
			}
		}
		acks.expectOnce(w)
	}},
	{"Acknowledger", "cut-off", "begins a watch while the store is cut off: the watch is acknowledged only after the heal, or ends", suite.Cut, func(e *env) {
		e.acknowledger()
		now := e.Put(e.Key("k"), "v")
		heal := e.Cut()
		w, acks := e.watchAcknowledged(e.All(), now)
		w.NextWithin(50 * time.Millisecond)
		acks.expectNone(w)
		heal()
		last := e.Put(e.Key("k"), "after")
		for w.Position() < last {
			if _, err, ok := w.TryNext(); !ok {
				e.expectError("a watch begun while cut off", err, kv.ErrUnavailable)
				return
			}
		}
		acks.expectOnce(w)
	}},
}

// progressChecks are the checks of W7 for a store that is a kv.ProgressRequester.
var progressChecks = []check{
	{"W7", "on-request", "requests progress of watches of the past, the present and the future, while others write: every bookmark is true", 0, func(e *env) {
		e.requestProgress()
		start := e.Get(e.All()).Revision
		e.churn(2, 20)
		others := e.Writers(2)
		var watches []*suite.Watching
		for range 3 {
			watches = append(watches, e.Watch(e.All(), start), e.Watch(e.All(), e.Get(e.All()).Revision))
		}
		future := e.Watch(e.All(), e.Get(e.All()).Revision+10)
		for range 10 {
			others.More()
			e.requestProgress()
			for _, w := range watches {
				w.Next()
			}
		}
		for future.Position() > e.Put(e.Key("k"), "v") { // write until the revision after which it waits
		}
		others.Stop()
		e.requestProgress()
		last := e.Put(e.Key("last"), "v")
		for _, w := range append(watches, future) {
			truthful(e, w.Through(last))
		}
	}},
	{"W7", "on-request-idle", "requests progress while only keys outside the range are written: a bookmark is delivered", 0, func(e *env) {
		e.requestProgress()
		key := e.Key("here")
		w := e.Watch(kv.Key(key), e.Get(kv.Key(key)).Revision)
		w.Through(e.Put(key, "1"))
		elsewhere := e.Put(e.Key("elsewhere"), "v")
		bookmarkAfterAsking(w, elsewhere, e.requestProgress)
		truthful(e, w.Through(e.Put(key, "2")))
		w.ExpectAll()
	}},
}

// ability returns the check's store as a T, an interface of package kv. It ends the check if the store does not implement T.
func ability[T any](e *env) T {
	s, ok := e.Store.(T)
	if !ok {
		e.Moot(fmt.Sprintf("the store is not a %v", reflect.TypeFor[T]()))
	}
	return s
}

// whileOthersWrite calls expect, which reads a range, after each of several writes of another store over the same data. Then it cuts the
// check's store off, if the backend can, and requires that read fails.
func (e *env) whileOthersWrite(what string, expect func(r kv.Range, rev kv.Revision), read func(context.Context) error) {
	other := e.Backend.Again(e, e.Store)
	key := e.Key("k")
	for i := range 6 {
		rev, err := e.TryPut(other, key, fmt.Sprint(i))
		e.Must("put", err)
		if i%3 == 2 {
			rev, err = e.TryDelete(other, key)
			e.Must("delete", err)
		}
		expect(kv.Key(key), rev)
		expect(e.All(), rev)
	}
	if e.Backend.Cut == nil {
		return
	}
	heal := e.Cut()
	defer heal()
	ctx, cancel := context.WithTimeout(e.Context(), 50*time.Millisecond)
	defer cancel()
	if err := read(ctx); err == nil {
		e.Errorf("a %s during a cut succeeded, but should fail: what it returned may be old, and with it readers find out whether a watch is dead", what)
	}
}

func (e *env) stater() kv.Stater { return ability[kv.Stater](e) }

// putEnds puts one of the first and one of the last of the check's keys, one after the other: each time others, so that a store which divides
// keys between parts has them in different parts.
func (e *env) putEnds(i int) error {
	for _, key := range []string{fmt.Sprint("!first ", i&3), fmt.Sprint("~last ", i&3)} {
		if _, err := e.TryPut(e.Store, e.Key(key), fmt.Sprint(i)); err != nil {
			return err
		}
	}
	return nil
}

// expectRefusals requires that read fails for invalid ranges, and with a context that is done.
func (e *env) expectRefusals(what string, read func(context.Context, kv.Range) error) {
	for _, refused := range []struct {
		ctx  context.Context
		r    kv.Range
		want error
	}{
		{e.Context(), kv.Key(""), kv.ErrInvalidKey},
		{e.Context(), kv.Interval("b", "a"), kv.ErrInvalidRange},
		{e.Context(), kv.Range{}, kv.ErrInvalidRange},
		{e.Canceled(), e.All(), context.Canceled},
	} {
		e.expectError(what+" "+refused.r.String(), read(refused.ctx, refused.r), refused.want)
	}
}

func (e *env) stat(s kv.Stater, r kv.Range) kv.Snapshot {
	ctx, cancel := e.Bounded()
	defer cancel()
	snapshot, err := s.Stat(ctx, r)
	e.Logf("stat %s -> %d entries at revision %d, %v", e.ShortRange(r), len(snapshot.Entries), snapshot.Revision, err)
	e.Must("stat "+r.String(), err)
	return snapshot
}

// expectStat stats r while no one else writes. It requires rev or a later revision, and the entries that a Get returns, without values.
func (e *env) expectStat(s kv.Stater, r kv.Range, rev kv.Revision) {
	got := e.stat(s, r)
	if got.Revision < rev {
		e.Errorf("stat %s returned revision %d, but revision %d was acknowledged before it began", e.ShortRange(r), got.Revision, rev)
	}
	e.expectEntriesWithoutValues(r, got)
}

// expectEntriesWithoutValues requires that got has the entries of r in the ledger at the revision of got, without values.
func (e *env) expectEntriesWithoutValues(r kv.Range, got kv.Snapshot) {
	want := e.Ledger.EntriesAt(r, got.Revision)
	for i := range want {
		want[i].Value = nil
	}
	e.expectWithoutValues(fmt.Sprintf("stat %s, at revision %d", e.ShortRange(r), got.Revision), want, got.Entries)
}

// expectWithoutValues requires that got is want, and that no entry has a value. The entries of want have none.
func (e *env) expectWithoutValues(what string, want, got []kv.Entry) {
	for _, entry := range got {
		if entry.Value != nil {
			e.Errorf("%s returned the value %s of %s, but should return no values", what, suite.Brief(string(entry.Value)), e.Short(entry.Key))
			return
		}
	}
	if diff := e.EntriesDiffer(want, got); diff != "" {
		e.Errorf("%s did not return the entries that were written:\n%s", what, diff)
	}
}

func (e *env) acknowledger() kv.Acknowledger { return ability[kv.Acknowledger](e) }

// acknowledgements is a store that counts the acknowledgements of its one watch.
type acknowledgements struct {
	e *env
	kv.Acknowledger
	count atomic.Int32
	first chan struct{} // closed by the first acknowledgement
	late  atomic.Bool   // a batch was delivered before the first acknowledgement

	iterates  atomic.Pointer[string] // the goroutine that iterates
	elsewhere atomic.Bool            // an acknowledgement came in another goroutine
}

func (e *env) watchAcknowledged(r kv.Range, after kv.Revision) (*suite.Watching, *acknowledgements) {
	acks := &acknowledgements{e: e, Acknowledger: e.acknowledger(), first: make(chan struct{})}
	return e.WatchVia(e.Context(), acks, r, after), acks
}

func (a *acknowledgements) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	sequence := a.WatchAcknowledged(ctx, r, after, func() {
		// A sequence that is pulled runs in a goroutine that alternates with the one that iterates.
		id, stack := goroutine()
		if by := a.iterates.Load(); by == nil || id != *by && !strings.Contains(stack, "iter.Pull") {
			a.elsewhere.Store(true)
		}
		if a.count.Add(1) == 1 && a.first != nil {
			close(a.first)
		}
	})
	return func(yield func(kv.Batch, error) bool) {
		id, _ := goroutine()
		a.iterates.Store(&id)
		for batch, err := range sequence {
			if err == nil && a.count.Load() == 0 {
				a.late.Store(true)
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// goroutine returns what distinguishes the goroutine that calls it, and its stack.
func goroutine() (id, stack string) {
	stack = string(debug.Stack())
	id, _, _ = strings.Cut(stack, " [")
	return id, stack
}

// expectOnce waits for the acknowledgement of w. It requires that w was acknowledged once, before any batch, in the goroutine that iterates.
func (a *acknowledgements) expectOnce(w *suite.Watching) {
	timer := time.NewTimer(a.e.Patience())
	defer timer.Stop()
	select {
	case <-a.first:
	case <-timer.C:
		a.e.Errorf("%s began, but was not acknowledged within %v", w, a.e.Patience())
		return
	}
	if a.late.Load() {
		a.e.Errorf("%s delivered a batch before it was acknowledged", w)
	}
	if a.elsewhere.Load() {
		a.e.Errorf("%s was acknowledged in another goroutine than the one that iterates: the call may run while the iterating goroutine does "+
			"something else, or after it has ended the watch", w)
	}
	if n := a.count.Load(); n != 1 {
		a.e.Errorf("%s was acknowledged %d times, but should be acknowledged once", w, n)
	}
}

// expectNone requires that w has not been acknowledged.
func (a *acknowledgements) expectNone(w *suite.Watching) {
	if n := a.count.Load(); n != 0 {
		a.e.Errorf("%s was acknowledged, but it has not begun", w)
	}
}

// requestProgress requests progress of the check's store. It ends the check if the store does not support that.
func (e *env) requestProgress() {
	ctx, cancel := e.Bounded()
	defer cancel()
	err := kv.RequestProgress(ctx, e.Store)
	if errors.Is(err, kv.ErrUnsupported) {
		e.Moot("the store is not a kv.ProgressRequester")
	}
	e.Must("RequestProgress", err)
}
