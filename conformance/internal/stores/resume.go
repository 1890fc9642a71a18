package stores

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// resumeChecks are the checks of W6: a watch is stopped anywhere and resumed.
var resumeChecks = []check{
	{"W6", "every-batch", "reads a watch to its end, and watches again after each of its batches", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		live := e.Watch(e.All(), start)
		var last kv.Revision
		for i := range 30 {
			last = e.someWrite(i)
			live.Through(last)
		}
		var watches []*suite.Watching
		for _, b := range live.Batches {
			if b.Revision < last {
				watches = append(watches, e.Watch(e.All(), b.Revision))
			}
		}
		for _, w := range watches {
			w.Through(last).ExpectAll()
		}
	}},
	{"W6", "catch-up", "reads several thousand revisions of the past, and stops and watches again after each batch", 0, func(e *env) {
		long := e.sharedHistory()
		long.resumeUntil(long.start, long.last)
	}},
	{"W6", "large-values", "reads a past of large values, and stops and watches again after each batch", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		large := make([]byte, 256<<10)
		for i := range 8 {
			e.Put(e.Key(fmt.Sprint(i%3)), string(large)+fmt.Sprint(i))
		}
		e.resumeUntil(start, e.Put(e.Key("last"), "v"))
	}},
	{"W6", "while-writing", "stops and watches again after each batch, while others write", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		others := e.Writers(3)
		position, got := start, []kv.Event(nil)
		for range 30 {
			others.More()
			w := e.Watch(e.All(), position)
			w.Next()
			got, position = append(got, w.Events()...), w.Position()
			w.Stop()
		}
		others.Stop()
		e.Watch(e.All(), start).ExpectEvents(got, start, position)
		e.resumeUntil(position, e.Put(e.Key("last"), "v"))
	}},
	{"W6", "in-the-middle", "watches after revisions that lie between those of the batches", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		var revs []kv.Revision
		for i := range 15 {
			revs = append(revs, e.someWrite(i))
		}
		last := e.Put(e.Key("last"), "v")
		var watches []*suite.Watching
		for _, rev := range append(revs, start) {
			watches = append(watches, e.Watch(e.All(), rev))
		}
		for _, w := range watches {
			w.Through(last).ExpectAll()
		}
	}},
	{"W6", "lost-stream", "ends the streams of the store many times while others write, and watches again after the last batch", suite.EndStreams | suite.Again, func(e *env) {
		start := e.Get(e.All()).Revision
		other := e.Backend.Again(e, e.Store)
		others := e.Traffic(2, func(w, i int) error {
			_, err := e.TryPut(other, e.Key(fmt.Sprint("writer ", w)), fmt.Sprint(i))
			return unhurt(err)
		})
		between := func(when string) {
			_, err := e.TryPut(other, e.Key("between"), when)
			e.Must("put", unhurt(err))
		}
		position, got := start, []kv.Event(nil)
		for range 10 {
			others.More()
			w := e.Watch(e.All(), position)
			w.Next()
			// One put is surely before the failure and one after it. A store that resumes carelessly loses one of them.
			between("before the streams end")
			e.EndStreams()
			between("after the streams have ended")
			// The watch may survive. Nothing shows for how long, so some more batches are enough then.
			for range 5 {
				others.More()
				if _, err, ok := w.TryNext(); !ok {
					if err == nil || err == suite.ErrInVain {
						e.Fatalf("the streams were ended, and %s", suite.EndText(err))
					}
					break
				}
			}
			got, position = append(got, w.Events()...), w.Position()
			w.Stop()
		}
		others.Stop()
		e.Watch(e.All(), start).ExpectEvents(got, start, position)
		e.resumeUntil(position, e.Put(e.Key("last"), "v"))
	}},
	{"W6", "lost-stream-again", "ends the streams of the store several times while the consumer of one watch is busy, and puts before and after, with a watch of all keys and with a watch of one: the watch loses and repeats nothing, or it ends and is begun again", suite.EndStreams | suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		put := func(text string) kv.Revision {
			rev, err := e.TryPut(other, e.Key("k"), text)
			e.Must("put", unhurt(err))
			return rev
		}
		for _, r := range []kv.Range{e.All(), kv.Key(e.Key("k"))} {
			start := e.Get(r).Revision
			w := e.Watch(r, start)
			var got []kv.Event
			for i := range 3 {
				w.Through(put(fmt.Sprint(i)))
				put(fmt.Sprint(i, " before the streams end"))
				e.EndStreams()
				last := put(fmt.Sprint(i, " after the streams have ended"))
				for w.Position() < last {
					if _, err, ok := w.TryNext(); !ok {
						if errors.Is(err, kv.ErrClosed) {
							e.Fatalf("the streams were ended, the store was not closed, and %s: its reader gives up and does not watch again", suite.EndText(err))
						}
						if err == nil || err == suite.ErrInVain {
							e.Fatalf("the streams were ended (time %d for this watch), and %s", i+1, suite.EndText(err))
						}
						got = append(got, w.Events()...)
						w = e.Watch(r, w.Position())
					}
				}
			}
			w.ExpectEvents(append(got, w.Events()...), start, w.Position())
		}
	}},
	{"W6", "lost-stream-behind", "ends the streams of the store when a watch has read one batch of a long past: nothing of the rest is lost", suite.EndStreams, func(e *env) {
		long := e.sharedHistory()
		w := long.Watch(long.All(), long.start)
		w.Next()
		long.EndStreams()
		long.lossless(w, long.last)
	}},
	{"W6", "cut-off", "cuts the store off, stops the watch, heals the cut, and watches again after the last batch", suite.Cut, func(e *env) {
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		first := e.Put(e.Key("k"), "before")
		w.Through(first)
		heal := e.Cut()
		w.Stop()
		heal()
		next := e.Watch(e.All(), w.Position())
		next.Through(e.Put(e.Key("k"), "after")).ExpectAll()
	}},
	{"W6", "after-a-bookmark", "watches again after bookmarks; each is the first after some events, with writes before and after it", suite.Progress, func(e *env) {
		start := e.Get(e.All()).Revision
		position, got := start, []kv.Event(nil)
		for i := range 3 {
			w := e.Watch(e.All(), position)
			e.Put(e.Key("k"), fmt.Sprint(i))
			w.Through(e.Put(e.Key("k"), "again"))
			for {
				e.Progress()
				if w.Next().IsBookmark() {
					break
				}
			}
			got, position = append(got, w.Events()...), w.Position()
			w.Stop()
		}
		w := e.Watch(e.All(), position)
		w.Through(e.Put(e.Key("last"), "v"))
		w.ExpectEvents(append(got, w.Events()...), start, w.Position())
	}},
}

// unhurt explains the error of a write through a store whose streams do not end.
func unhurt(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("through the store of Backend.Again, which Backend.EndStreams should leave alone: %w", err)
}

// someWrite makes one write. Its kind changes each time.
func (e *env) someWrite(i int) kv.Revision {
	key := e.Key(fmt.Sprint(i % 4))
	switch {
	case i%3 == 1 && e.Backend.Commit:
		return e.Commit(kv.PutOp(e.Key("a"), fmt.Append(nil, i)), kv.PutOp(e.Key("b"), nil), kv.DeleteOp(e.Key("a-gone")))
	case i%5 == 4:
		e.Put(key, "to be deleted")
		return e.Delete(key)
	}
	return e.Put(key, fmt.Sprint(i))
}

// resumeUntil reads from position to last with a new watch for each batch, and requires every event once.
func (e *env) resumeUntil(position, last kv.Revision) {
	start := position
	var got []kv.Event
	for position < last {
		w := e.Watch(e.All(), position)
		w.Next()
		if w.Position() < position || !w.Batches[0].IsBookmark() && w.Position() == position {
			e.Fatalf("a watch after %d began with a batch of revision %d: a reader that resumes after it would never get further", position, w.Position())
		}
		got, position = append(got, w.Events()...), w.Position()
		w.Stop()
	}
	e.Watch(e.All(), start).ExpectEvents(got, start, position)
}
