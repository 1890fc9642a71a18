package conformance

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// resumeChecks are those of W6: stopping anywhere, and going on.
var resumeChecks = []check{
	{"W6", "every-batch", "reads a watch to its end, and begins again after each of its batches", 0, func(e *env) {
		start := e.get(e.all()).Revision
		live := e.watch(e.all(), start)
		var last kv.Revision
		for i := range 30 {
			last = e.someWrite(i)
			live.through(last)
		}
		var watches []*watching
		for _, b := range live.batches {
			if b.Revision < last {
				watches = append(watches, e.watch(e.all(), b.Revision))
			}
		}
		for _, w := range watches {
			w.through(last).expectAll()
		}
	}},
	{"W6", "catch-up", "reads several thousand revisions of the past, and stops and begins again after each batch", 0, func(e *env) {
		long := e.longHistory()
		long.resumeUntil(long.start, long.last)
	}},
	{"W6", "large-values", "reads a past of large values, and stops and begins again after each batch", 0, func(e *env) {
		start := e.get(e.all()).Revision
		large := make([]byte, 256<<10)
		for i := range 12 {
			e.put(e.key(fmt.Sprint(i%3)), string(large)+fmt.Sprint(i))
		}
		e.resumeUntil(start, e.put(e.key("last"), "v"))
	}},
	{"W6", "while-writing", "stops and begins again after each batch, while others write", 0, func(e *env) {
		start := e.get(e.all()).Revision
		others := e.writers(3)
		position, got := start, []kv.Event(nil)
		for range 30 {
			others.more()
			w := e.watch(e.all(), position)
			w.next()
			got, position = append(got, w.events()...), w.position()
			w.stop()
		}
		others.stop()
		e.watch(e.all(), start).expectEvents(got, start, position)
		e.resumeUntil(position, e.put(e.key("last"), "v"))
	}},
	{"W6", "in-the-middle", "watches after revisions that lie between those of batches", 0, func(e *env) {
		start := e.get(e.all()).Revision
		var revs []kv.Revision
		for i := range 15 {
			revs = append(revs, e.someWrite(i))
		}
		last := e.put(e.key("last"), "v")
		var watches []*watching
		for _, rev := range append(revs, start) {
			watches = append(watches, e.watch(e.all(), rev))
		}
		for _, w := range watches {
			w.through(last).expectAll()
		}
	}},
	{"W6", "lost-stream", "ends the streams of the store again and again while others write, and begins again after what was read", endStreams | again, func(e *env) {
		start := e.get(e.all()).Revision
		other := e.backend.Again(e, e.store)
		others := e.traffic(2, func(w, i int) error {
			_, err := e.tryPut(other, e.key(fmt.Sprint("writer ", w)), fmt.Sprint(i))
			return unhurt(err)
		})
		between := func(when string) {
			_, err := e.tryPut(other, e.key("between"), when)
			e.must("put", unhurt(err))
		}
		position, got := start, []kv.Event(nil)
		for range 10 {
			others.more()
			w := e.watch(e.all(), position)
			w.next()
			// One surely lies on either side of the failure, where one who resumes carelessly loses it.
			between("before the streams end")
			e.endStreams()
			between("after the streams have ended")
			// A watch may survive, and nothing says how long it goes on; some batches more are enough then.
			for range 5 {
				others.more()
				if _, err, ok := w.tryNext(); !ok {
					if err == nil || err == errInVain {
						e.Fatalf("the streams were ended, and %s", endText(err))
					}
					break
				}
			}
			got, position = append(got, w.events()...), w.position()
			w.stop()
		}
		others.stop()
		e.watch(e.all(), start).expectEvents(got, start, position)
		e.resumeUntil(position, e.put(e.key("last"), "v"))
	}},
	{"W6", "lost-stream-again", "ends the streams of the store several times while the consumer of one watch is busy, and puts before and after: it loses and repeats nothing, or ends, and is begun again", endStreams | again, func(e *env) {
		start := e.get(e.all()).Revision
		other := e.backend.Again(e, e.store)
		put := func(text string) kv.Revision {
			rev, err := e.tryPut(other, e.key("k"), text)
			e.must("put", unhurt(err))
			return rev
		}
		w := e.watch(e.all(), start)
		var got []kv.Event
		position := start
		for i := range 4 {
			w.through(put(fmt.Sprint(i)))
			put(fmt.Sprint(i, " before the streams end"))
			e.endStreams()
			last := put(fmt.Sprint(i, " after the streams have ended"))
			for w.position() < last {
				if _, err, ok := w.tryNext(); !ok {
					if errors.Is(err, kv.ErrClosed) {
						e.Fatalf("the streams were ended, the store was not closed, and %s: its reader gives up rather than begin again", endText(err))
					}
					if err == nil || err == errInVain {
						e.Fatalf("the streams were ended for the %d. time of this watch, and %s", i+1, endText(err))
					}
					got, position = append(got, w.events()...), w.position()
					w = e.watch(e.all(), position)
				}
			}
		}
		w.expectEvents(append(got, w.events()...), start, w.position())
	}},
	{"W6", "lost-stream-behind", "ends the streams of the store when a watch has read one batch of a long past: nothing of the rest is lost", endStreams, func(e *env) {
		long := e.longHistory()
		w := long.watch(long.all(), long.start)
		w.next()
		long.endStreams()
		long.lossless(w, long.last)
	}},
	{"W6", "cut-off", "cuts the store off, gives the watch up, heals and begins again after what was read", cut, func(e *env) {
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		first := e.put(e.key("k"), "before")
		w.through(first)
		heal := e.cut()
		w.stop()
		heal()
		next := e.watch(e.all(), w.position())
		next.through(e.put(e.key("k"), "after")).expectAll()
	}},
	{"W6", "after-a-bookmark", "begins again after bookmarks, the first that comes after events, with writes before and after them", progress, func(e *env) {
		start := e.get(e.all()).Revision
		position, got := start, []kv.Event(nil)
		for i := range 3 {
			w := e.watch(e.all(), position)
			e.put(e.key("k"), fmt.Sprint(i))
			w.through(e.put(e.key("k"), "again"))
			for {
				e.progress()
				if w.next().IsBookmark() {
					break
				}
			}
			got, position = append(got, w.events()...), w.position()
			w.stop()
		}
		w := e.watch(e.all(), position)
		w.through(e.put(e.key("last"), "v"))
		w.expectEvents(append(got, w.events()...), start, w.position())
	}},
}

// unhurt explains the error of a write by another store than the one whose streams end.
func unhurt(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("through the store of Backend.Again, which Backend.EndStreams should leave alone: %w", err)
}

// someWrite makes one write, of another kind each time.
func (e *env) someWrite(i int) kv.Revision {
	key := e.key(fmt.Sprint(i % 4))
	switch {
	case i%3 == 1 && e.backend.Commit:
		return e.commit(kv.PutOp(e.key("a"), fmt.Append(nil, i)), kv.PutOp(e.key("b"), nil), kv.DeleteOp(e.key("a-gone")))
	case i%5 == 4:
		e.put(key, "to be deleted")
		return e.delete(key)
	}
	return e.put(key, fmt.Sprint(i))
}

// resumeUntil watches after position, one batch a watch, as far as last, and requires every event once.
func (e *env) resumeUntil(position, last kv.Revision) {
	start := position
	var got []kv.Event
	for position < last {
		w := e.watch(e.all(), position)
		w.next()
		if w.position() < position || !w.batches[0].IsBookmark() && w.position() == position {
			e.Fatalf("a watch after %d began with a batch of revision %d: going on after it would never end", position, w.position())
		}
		got, position = append(got, w.events()...), w.position()
		w.stop()
	}
	e.watch(e.all(), start).expectEvents(got, start, position)
}
