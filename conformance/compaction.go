package conformance

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// compactionChecks are those of W8: history that is gone.
var compactionChecks = []check{
	{"W8", "compacted-past", "compacts, twice, and watches after revisions before that: each that would miss something ends with a CompactedError that says where to begin", compact, func(e *env) {
		start := e.get(e.all()).Revision
		var revs []kv.Revision
		for i := range 24 {
			revs = append(revs, e.someWrite(i))
		}
		last := revs[23]
		for _, at := range []int{12, 18} {
			e.compact(revs[at])
			tried := make(map[kv.Revision]bool)
			for i, after := range []kv.Revision{start, revs[0], revs[at/2], revs[at-2]} {
				w := e.watch(e.all(), after)
				var oldest kv.Revision
				if i == 0 {
					err := w.untilEnd()
					e.expectNoEvents(w)
					oldest = e.expectCompacted(err, after)
				} else {
					oldest = e.expectCompactedOrAll(w, after, last) // what comes next may be live, and so be there
				}
				if oldest == 0 || tried[oldest] {
					continue
				}
				tried[oldest] = true
				e.watch(e.all(), oldest-1).through(last).expectAll()
				e.expectCompactedOrAll(e.watch(e.all(), oldest-2), oldest-2, last)
				e.expectOldest(oldest)
			}
		}
	}},
	{"W8", "boundary", "deletes a key, compacts at that revision, and watches from it on: the deletion comes", compact, func(e *env) {
		e.put(e.key("k"), "v")
		e.put(e.key("k2"), "v")
		deleted := e.delete(e.key("k"))
		e.put(e.key("k2"), "again")
		last := e.put(e.key("last"), "v")
		e.compact(deleted)
		// A store may forget a little more than it was asked to, but must say so.
		if oldest := e.expectCompactedOrAll(e.watch(e.all(), deleted-1), deleted-1, last); oldest > 0 && oldest <= deleted {
			e.Errorf("a watch after %d ended as compacted, but the error says that it can be had from %d on", deleted-1, oldest)
		}
	}},
	{"W8", "get-after", "compacts at the newest revision: what is live is still read, with its metadata, and can be watched after", compact, func(e *env) {
		e.put(e.key("old"), "v")
		e.put(e.key("gone"), "v")
		e.delete(e.key("gone"))
		e.compact(e.put(e.key("new"), "v"))
		got := e.get(e.all())
		e.expectSnapshot(e.all(), got)
		w := e.watch(e.all(), got.Revision)
		w.through(e.put(e.key("old"), "again")).expectAll()
	}},
	{"W8", "running-behind", "compacts past a running watch whose consumer is busy: it goes on without a gap, or says that there is one", compact, func(e *env) {
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		w.through(e.put(e.key("first"), "v"))
		e.fillHistory(80, 50<<10)
		e.compact(e.put(e.key("middle"), "v"))
		last := e.put(e.key("last"), "v")
		for w.position() < last {
			if _, err, ok := w.tryNext(); !ok {
				w.expectAll()
				oldest := e.expectCompacted(err, w.position())
				if oldest > 0 {
					e.watch(e.all(), oldest-1).through(last).expectAll()
				}
				return
			}
		}
		w.expectAll()
	}},
	{"W8", "running-level", "compacts while a running watch has delivered everything: it goes on, or says why not", compact, func(e *env) {
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		var last kv.Revision
		for i := range 5 {
			last = e.someWrite(i)
		}
		w.through(last)
		e.compact(last)
		next := e.put(e.key("next"), "v")
		for w.position() < next {
			if _, err, ok := w.tryNext(); !ok {
				e.expectCompacted(err, w.position())
				break
			}
		}
		w.expectAll()
	}},
	{"W8", "idle-range", "compacts past the revision that a watch of an idle key begins after: it is compacted all the same, or loses nothing", compact, func(e *env) {
		key := e.key("idle")
		start := e.get(kv.Key(key)).Revision
		e.put(key, "v")
		e.delete(key)
		e.put(e.key("elsewhere"), "1")
		e.compact(e.put(e.key("elsewhere"), "2"))
		w := e.watch(kv.Key(key), start)
		e.put(key, "last")
		_, err, ok := w.tryNext()
		for ok && len(w.events()) == 0 {
			_, err, ok = w.tryNext()
		}
		if !ok {
			e.expectCompacted(err, start)
			return
		}
		w.through(e.ledger.last()).expectAll()
	}},
	{"W8", "cut-meanwhile", "compacts past a watch that is cut off: once healed it goes on without a gap, or says that there is one", compact | cut | again, func(e *env) {
		other := e.backend.Again(e, e.store)
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		w.through(e.put(e.key("k"), "before"))
		heal := e.cut()
		var last kv.Revision
		for i := range 5 {
			rev, err := e.tryPut(other, e.key("k"), fmt.Sprint(i))
			e.must("put", err)
			last = rev
		}
		e.compactVia(other, last)
		heal()
		for w.position() < last {
			if _, err, ok := w.tryNext(); !ok {
				if errors.Is(err, kv.ErrUnavailable) { // it ended when it was cut off; its reader begins again
					e.expectCompactedOrAll(e.watch(e.all(), w.position()), w.position(), last)
				} else {
					e.expectCompacted(err, w.position())
				}
				break
			}
		}
		w.expectAll()
	}},
}

// expectCompactedOrAll requires the watch after a revision to say that it was compacted, and then returns the oldest
// revision that can be watched; or to lose nothing of what was written up to last.
func (e *env) expectCompactedOrAll(w *watching, after, last kv.Revision) (oldest kv.Revision) {
	b, err, ok := w.tryNext()
	for ok && b.IsBookmark() {
		b, err, ok = w.tryNext()
	}
	if !ok {
		return e.expectCompacted(err, after)
	}
	w.through(last).expectAll()
	return 0
}

// expectCompacted requires err to say that history after a revision is gone, and returns the oldest revision it
// names, which is zero if it names none.
func (e *env) expectCompacted(err error, after kv.Revision) kv.Revision {
	if err == nil || errors.Is(err, errInVain) {
		e.Errorf("the watch after %d, whose history is gone: %s; a reader would never know", after, endText(err))
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
	if oldest := compacted.Oldest; oldest != 0 && (oldest <= after+1 || oldest > e.ledger.last()+1) {
		e.Errorf("the watch after %d ended with %q: the oldest revision cannot be %d, as the watch would have been possible, or nothing would be left", after, err, oldest)
		return 0
	}
	return compacted.Oldest
}

// expectOldest requires that no change from before oldest can be watched any more, where it would be history alone: each
// of its keys was written again since, so that nothing that is live can be meant.
func (e *env) expectOldest(oldest kv.Revision) {
	newest, live := kv.Revision(0), make(map[string]bool)
	events := e.ledger.eventsAfter(e.all(), 0)
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
	w := e.watch(e.all(), newest-1)
	b, _, ok := w.tryNext()
	for ok && b.IsBookmark() {
		b, _, ok = w.tryNext()
	}
	if ok && b.Events[0].ModRevision < oldest {
		e.Errorf("a watch ended as compacted, and its error says that the oldest revision kept is %d; but one after %d begins with revision %d",
			oldest, newest-1, b.Events[0].ModRevision)
	}
}

func (e *env) expectNoEvents(w *watching) {
	if events := w.events(); len(events) > 0 {
		e.Errorf("a watch after %d, whose history is gone, delivered %d events, from revision %d on", w.after, len(events), events[0].ModRevision)
	}
}

// fillHistory puts values of size bytes n times, over a few keys.
func (e *env) fillHistory(n, size int) {
	const writers = 8
	value := string(make([]byte, size))
	e.parallel(writers, func(w int) error {
		for i := w; i < n; i += writers {
			if _, err := e.tryPut(e.store, e.key(fmt.Sprint(i%10)), fmt.Sprint(i)+value); err != nil {
				return err
			}
		}
		return nil
	})
}
