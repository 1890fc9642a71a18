package stores

import (
	"errors"
	"fmt"
	"slices"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// compactionChecks are the checks of W8: watches whose history is gone.
var compactionChecks = []check{
	{"W8", "compacted-past", "compacts twice, and watches ranges of several kinds after earlier revisions and after zero: each watch that would miss something ends with a CompactedError, which names the oldest revision that is left", suite.Compact, func(e *env) {
		start := e.Get(e.All()).Revision
		var revs []kv.Revision
		for i := range 24 {
			revs = append(revs, e.someWrite(i))
		}
		last := revs[23]
		for _, at := range []int{12, 18} {
			e.Compact(revs[at])
			first := e.Watch(e.All(), start)
			err := first.UntilEnd()
			e.expectNoEvents(first)
			named := []kv.Revision{e.expectCompacted(err, start)}
			var others []*suite.Watching
			for _, after := range []kv.Revision{0, revs[0], revs[at/2], revs[at-2]} {
				others = append(others, e.Watch(e.All(), after))
			}
			for _, r := range []kv.Range{kv.All(), kv.Interval(e.Prefix, e.Key("z"))} {
				others = append(others, e.Watch(r, start))
			}
			for _, w := range others {
				named = append(named, e.expectCompactedOrAll(w, w.After, last)) // the next change after w.After may be of a live entry, and so still be stored
			}
			slices.Sort(named)
			for _, oldest := range slices.Compact(named) {
				if oldest == 0 {
					continue
				}
				all, less := e.Watch(e.All(), oldest-1), e.Watch(e.All(), oldest-2)
				all.Through(last).ExpectAll()
				e.expectCompactedOrAll(less, oldest-2, last)
				e.expectOldest(oldest)
			}
		}
	}},
	{"W8", "boundary", "deletes a key, compacts at the revision of the deletion, and watches from that revision on: the deletion is delivered", suite.Compact, func(e *env) {
		e.Put(e.Key("k"), "v")
		e.Put(e.Key("k2"), "v")
		deleted := e.Delete(e.Key("k"))
		e.Put(e.Key("k2"), "again")
		last := e.Put(e.Key("last"), "v")
		e.Compact(deleted)
		// A store may remove a little more history than requested, but must report that.
		if oldest := e.expectCompactedOrAll(e.Watch(e.All(), deleted-1), deleted-1, last); oldest > 0 && oldest <= deleted {
			e.Errorf("a watch after %d ended as compacted, but its error says that history from revision %d on is still there", deleted-1, oldest)
		}
	}},
	{"W8", "get-after", "compacts at the newest revision: live entries keep their metadata, also when they are put again, and a watch after that revision delivers new events", suite.Compact, func(e *env) {
		e.Put(e.Key("old"), "v")
		e.Put(e.Key("old"), "put again")
		e.Put(e.Key("gone"), "v")
		e.Delete(e.Key("gone"))
		e.Compact(e.Put(e.Key("new"), "v"))
		got := e.Get(e.All())
		e.ExpectSnapshot(e.All(), got)
		w := e.Watch(e.All(), got.Revision)
		w.Through(e.Put(e.Key("old"), "and again")).ExpectAll()
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"W8", "nothing-left", "watches a past that is gone many times: no goroutines are left", suite.Compact, func(e *env) {
		start := e.Get(e.All()).Revision
		e.Put(e.Key("k"), "1")
		e.Put(e.Key("k"), "2")
		e.Compact(e.Put(e.Key("k"), "3"))
		watch := func(n int) {
			var watches []*suite.Watching
			for range n {
				watches = append(watches, e.Watch(e.All(), start))
			}
			for _, w := range watches {
				e.expectCompactedOrAll(w, start, e.Ledger.Last())
				w.Stop()
			}
		}
		watch(4)
		before, _ := e.Goroutines()
		const n = 40
		watch(n)
		e.expectGoroutines(before, n, "watches ended as compacted")
	}},
	{"W8", "running-behind", "compacts history that a running watch with a busy consumer has not read: the watch continues without a gap, or reports the gap", suite.Compact, func(e *env) {
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		w.Through(e.Put(e.Key("first"), "v"))
		e.fillHistory(40, 50<<10)
		e.Compact(e.Put(e.Key("middle"), "v"))
		last := e.Put(e.Key("last"), "v")
		for w.Position() < last {
			if _, err, ok := w.TryNext(); !ok {
				w.ExpectAll()
				oldest := e.expectCompacted(err, w.Position())
				if oldest > 0 {
					e.Watch(e.All(), oldest-1).Through(last).ExpectAll()
				}
				return
			}
		}
		w.ExpectAll()
	}},
	{"W8", "running-level", "compacts when a running watch has delivered everything: the watch continues, or ends with a CompactedError", suite.Compact, func(e *env) {
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		var last kv.Revision
		for i := range 5 {
			last = e.someWrite(i)
		}
		w.Through(last)
		e.Compact(last)
		next := e.Put(e.Key("next"), "v")
		for w.Position() < next {
			if _, err, ok := w.TryNext(); !ok {
				e.expectCompacted(err, w.Position())
				break
			}
		}
		w.ExpectAll()
	}},
	{"W8", "idle-range", "watches an idle key after a revision that was compacted: the watch ends as compacted, or loses nothing", suite.Compact, func(e *env) {
		key := e.Key("idle")
		start := e.Get(kv.Key(key)).Revision
		e.Put(key, "v")
		e.Delete(key)
		e.Put(e.Key("elsewhere"), "1")
		e.Compact(e.Put(e.Key("elsewhere"), "2"))
		w := e.Watch(kv.Key(key), start)
		e.Put(key, "last")
		_, err, ok := w.TryNext()
		for ok && len(w.Events()) == 0 {
			_, err, ok = w.TryNext()
		}
		if !ok {
			e.expectCompacted(err, start)
			return
		}
		w.Through(e.Ledger.Last()).ExpectAll()
	}},
	{"W8", "cut-meanwhile", "compacts history that a watch has missed while it was cut off: after the heal the watch continues without a gap, or reports the gap", suite.Compact | suite.Cut | suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		w.Through(e.Put(e.Key("k"), "before"))
		heal := e.Cut()
		var last kv.Revision
		for i := range 5 {
			rev, err := e.TryPut(other, e.Key("k"), fmt.Sprint(i))
			e.Must("put", err)
			last = rev
		}
		e.CompactVia(other, last)
		heal()
		for w.Position() < last {
			if _, err, ok := w.TryNext(); !ok {
				if errors.Is(err, kv.ErrUnavailable) { // the cut ended it, so its reader watches again
					e.expectCompactedOrAll(e.Watch(e.All(), w.Position()), w.Position(), last)
				} else {
					e.expectCompacted(err, w.Position())
				}
				break
			}
		}
		w.ExpectAll()
	}},
	{"W8", "compacted-while-read", "writes, and watches the past while the store is compacted, many times: each watch loses nothing, or reports that history is gone", suite.Compact, func(e *env) {
		last := e.Get(e.All()).Revision
		for round := range 8 {
			start := last
			for i := range 12 {
				last = e.someWrite(round*12 + i)
			}
			compacted := e.Background(1, func(int) error {
				e.Compact(last)
				return nil
			})
			var watches []*suite.Watching
			for range 6 {
				watches = append(watches, e.Watch(e.All(), start))
			}
			for _, w := range watches {
				for w.Position() < last {
					if _, err, ok := w.TryNext(); !ok {
						e.expectCompacted(err, w.Position())
						break
					}
				}
				w.ExpectAll()
				w.Stop()
			}
			compacted()
		}
	}},
}

// expectCompactedOrAll requires that w, a watch after a revision, ends as compacted, or delivers every event up to last. If it ends as
// compacted, expectCompactedOrAll returns the oldest revision that the error names.
func (e *env) expectCompactedOrAll(w *suite.Watching, after, last kv.Revision) (oldest kv.Revision) {
	b, err, ok := w.TryNext()
	for ok && b.IsBookmark() {
		b, err, ok = w.TryNext()
	}
	if !ok {
		return e.expectCompacted(err, after)
	}
	w.Through(last).ExpectAll()
	return 0
}

// expectCompacted requires that err is a *kv.CompactedError that can be true of a watch after the revision. It returns the oldest revision
// that the error names, or zero if the error names none.
func (e *env) expectCompacted(err error, after kv.Revision) kv.Revision {
	if err == nil || errors.Is(err, suite.ErrInVain) {
		e.Errorf("the watch after %d, whose history is gone: %s. Its reader would miss events and not know it", after, suite.EndText(err))
		return 0
	}
	if !errors.Is(err, kv.ErrCompacted) {
		e.Errorf("the watch after %d, whose history is gone, ended with %q, which does not match kv.ErrCompacted", after, err)
		return 0
	}
	e.expectNoOther(fmt.Sprintf("the watch after %d", after), err, kv.ErrCompacted)
	var compacted *kv.CompactedError
	if !errors.As(err, &compacted) {
		e.Errorf("the watch after %d ended with %q, which matches kv.ErrCompacted but is not a *kv.CompactedError", after, err)
		return 0
	}
	if oldest := compacted.Oldest; oldest != 0 && (oldest <= after+1 || oldest > e.Ledger.Last()+1) {
		e.Errorf("the watch after %d ended with %q: the oldest revision cannot be %d. If it were, the watch would have missed nothing, or no history would be left", after, err, oldest)
		return 0
	}
	return compacted.Oldest
}

// expectOldest requires that a watch no longer delivers a change from before oldest. It looks only at changes whose key was written again
// later: a store may keep the newest change of a key, because that is the live entry.
func (e *env) expectOldest(oldest kv.Revision) {
	newest, live := kv.Revision(0), make(map[string]bool)
	events := e.Ledger.EventsAfter(e.All(), 0)
	for i := len(events) - 1; i >= 0; i-- {
		event := events[i]
		if event.ModRevision < oldest && event.ModRevision > newest && live[event.Key] {
			newest = event.ModRevision
		}
		live[event.Key] = true
	}
	if newest == 0 {
		return
	}
	w := e.Watch(e.All(), newest-1)
	b, _, ok := w.TryNext()
	for ok && b.IsBookmark() {
		b, _, ok = w.TryNext()
	}
	if ok && b.Events[0].ModRevision < oldest {
		e.Errorf("a watch ended as compacted, and its error says that the oldest revision is %d, but a watch after %d began with an event of revision %d",
			oldest, newest-1, b.Events[0].ModRevision)
	}
}

// expectNoEvents requires that w, whose history is gone, delivered no event before it ended.
func (e *env) expectNoEvents(w *suite.Watching) {
	if events := w.Events(); len(events) > 0 {
		e.Errorf("the watch after %d, whose history is gone, delivered %d events, from revision %d on", w.After, len(events), events[0].ModRevision)
	}
}

// fillHistory makes n puts of a few keys, with values of size bytes.
func (e *env) fillHistory(n, size int) {
	const writers = 8
	value := string(make([]byte, size))
	e.Parallel(writers, func(w int) error {
		for i := w; i < n; i += writers {
			if _, err := e.TryPut(e.Store, e.Key(fmt.Sprint(i%10)), fmt.Sprint(i)+value); err != nil {
				return err
			}
		}
		return nil
	})
}
