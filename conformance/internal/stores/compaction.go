package stores

import (
	"errors"
	"fmt"
	"slices"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// compactionChecks are those of W8: history that is gone.
var compactionChecks = []check{
	{"W8", "compacted-past", "compacts twice, and watches after earlier revisions, and after zero: each watch that would miss something ends with a CompactedError that names the oldest revision", suite.Compact, func(e *env) {
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
			for _, w := range others {
				named = append(named, e.expectCompactedOrAll(w, w.After, last)) // what comes next may be live, and so be there
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
	{"W8", "boundary", "deletes a key, compacts at that revision, and watches from that revision on: the deletion comes", suite.Compact, func(e *env) {
		e.Put(e.Key("k"), "v")
		e.Put(e.Key("k2"), "v")
		deleted := e.Delete(e.Key("k"))
		e.Put(e.Key("k2"), "again")
		last := e.Put(e.Key("last"), "v")
		e.Compact(deleted)
		// A store may forget a little more than it was asked to, but must say so.
		if oldest := e.expectCompactedOrAll(e.Watch(e.All(), deleted-1), deleted-1, last); oldest > 0 && oldest <= deleted {
			e.Errorf("a watch after %d ended as compacted, but the error says that it can be had from %d on", deleted-1, oldest)
		}
	}},
	{"W8", "get-after", "compacts at the newest revision: live entries can still be read, with their metadata, and watched after", suite.Compact, func(e *env) {
		e.Put(e.Key("old"), "v")
		e.Put(e.Key("gone"), "v")
		e.Delete(e.Key("gone"))
		e.Compact(e.Put(e.Key("new"), "v"))
		got := e.Get(e.All())
		e.ExpectSnapshot(e.All(), got)
		w := e.Watch(e.All(), got.Revision)
		w.Through(e.Put(e.Key("old"), "again")).ExpectAll()
	}},
	{"W8", "running-behind", "compacts past a running watch whose consumer is busy: the watch goes on without a gap, or reports the gap", suite.Compact, func(e *env) {
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
	{"W8", "running-level", "compacts while a running watch has delivered everything: the watch goes on, or ends with an error", suite.Compact, func(e *env) {
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
	{"W8", "idle-range", "compacts past the revision after which a watch of an idle key begins: the watch ends as compacted, or loses nothing", suite.Compact, func(e *env) {
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
	{"W8", "cut-meanwhile", "compacts past a watch that is cut off: after the heal the watch goes on without a gap, or reports the gap", suite.Compact | suite.Cut | suite.Again, func(e *env) {
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
				if errors.Is(err, kv.ErrUnavailable) { // it ended when it was cut off; its reader begins again
					e.expectCompactedOrAll(e.Watch(e.All(), w.Position()), w.Position(), last)
				} else {
					e.expectCompacted(err, w.Position())
				}
				break
			}
		}
		w.ExpectAll()
	}},
	{"W8", "compacted-while-read", "writes, and watches the past while the store is compacted, many times: each watch is complete as far as it comes, and says so where history is gone", suite.Compact, func(e *env) {
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

// expectCompactedOrAll requires the watch after a revision to say that it was compacted, and then returns the oldest
// revision that can be watched; or to lose nothing of what was written up to last.
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

// expectCompacted requires err to say that history after a revision is gone, and returns the oldest revision it
// names, which is zero if it names none.
func (e *env) expectCompacted(err error, after kv.Revision) kv.Revision {
	if err == nil || errors.Is(err, suite.ErrInVain) {
		e.Errorf("the watch after %d, whose history is gone: %s; a reader would never know", after, suite.EndText(err))
		return 0
	}
	if !errors.Is(err, kv.ErrCompacted) {
		e.Errorf("the watch after %d, whose history is gone, ended with %q, which does not match kv.ErrCompacted", after, err)
		return 0
	}
	e.expectNoOther(fmt.Sprintf("the watch after %d", after), err, kv.ErrCompacted)
	var compacted *kv.CompactedError
	if !errors.As(err, &compacted) {
		e.Errorf("the watch after %d ended with %q, which matches kv.ErrCompacted but is no *kv.CompactedError", after, err)
		return 0
	}
	if oldest := compacted.Oldest; oldest != 0 && (oldest <= after+1 || oldest > e.Ledger.Last()+1) {
		e.Errorf("the watch after %d ended with %q: the oldest revision cannot be %d, as the watch would have been possible, or nothing would be left", after, err, oldest)
		return 0
	}
	return compacted.Oldest
}

// expectOldest requires that no change from before oldest can be watched any more, where it would be history alone: each
// of its keys was written again since, so that nothing that is live can be meant.
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
		e.Errorf("a watch ended as compacted, and its error says that the oldest revision kept is %d; but one after %d begins with revision %d",
			oldest, newest-1, b.Events[0].ModRevision)
	}
}

func (e *env) expectNoEvents(w *suite.Watching) {
	if events := w.Events(); len(events) > 0 {
		e.Errorf("a watch after %d, whose history is gone, delivered %d events, from revision %d on", w.After, len(events), events[0].ModRevision)
	}
}

// fillHistory puts values of size bytes n times, over a few keys.
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
