package stores

import (
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// bookmarkChecks are the checks of W7: what a batch's Revision says.
var bookmarkChecks = []check{
	// This check is first, while the store holds little.
	{"W7", "restored", "restores a backup, begins a watch, requests a bookmark, and writes: the bookmark is not ahead of the write", suite.Progress | suite.Backup, func(e *env) {
		_, was := e.watchPastBackup()
		e.readable()
		e.Ledger.Forget(was.Revision)
		w := e.Watch(e.All(), e.Get(e.All()).Revision)
		bookmarkAfter(w, w.Through(e.Put(e.Key("k"), "another future")).Position())
		truthful(e, w.Through(e.Put(e.Key("k"), "and on")))
		w.ExpectAll()
	}},
	{"W7", "last-event", "watches a burst and a long past: each batch's Revision is that of its last event", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		e.churn(4, 25)
		truthful(e, w.Through(e.Put(e.Key("last"), "v")))
		long := e.sharedHistory()
		truthful(e, long.Watch(long.All(), long.start).Through(long.last))
	}},
	{"W7", "writes-elsewhere", "watches one key from the past while other keys are written: no batch is ahead of a later event", 0, func(e *env) {
		key := e.Key("here")
		start := e.Get(kv.Key(key)).Revision
		w := e.Watch(kv.Key(key), start)
		var last kv.Revision
		for i := range 10 {
			e.Put(e.Key("elsewhere"), fmt.Sprint(i))
			last = e.Put(key, fmt.Sprint(i))
			e.Put(e.Key("elsewhere"), fmt.Sprint(i))
		}
		truthful(e, w.Through(last))
		truthful(e, e.Watch(kv.Key(key), start).Through(last))
	}},
	{"W7", "asked-for", "requests bookmarks continuously, of a live watch and of a watch of the past, while others write", suite.Progress, func(e *env) {
		start := e.Get(e.All()).Revision
		e.churn(4, 25)
		others := e.Writers(2)
		var watches []*suite.Watching
		for range 4 {
			watches = append(watches, e.Watch(e.All(), start), e.Watch(e.All(), e.Get(e.All()).Revision))
		}
		for range 10 {
			others.More()
			e.Progress()
			for _, w := range watches {
				w.Next()
			}
		}
		others.Stop()
		e.Progress()
		last := e.Put(e.Key("last"), "v")
		for _, w := range watches {
			truthful(e, w.Through(last))
		}
	}},
	{"W7", "busy-consumer", "requests a bookmark while the consumer of a watch is busy, and writes before the consumer continues: the bookmark is not ahead of the write", suite.Progress, func(e *env) {
		w := e.Watch(e.All(), e.Get(e.All()).Revision)
		w.Through(e.Put(e.Key("k"), "first"))
		for i := range 10 {
			e.Progress()
			e.Put(e.Key("k"), fmt.Sprint(i))
			w.Through(e.Put(e.Key("k"), fmt.Sprint(i, " again")))
		}
		truthful(e, w)
		w.ExpectAll()
	}},
	{"W7", "idle", "requests a bookmark while only other keys are written: the bookmark comes, and later batches are after it", suite.Progress, func(e *env) {
		key := e.Key("here")
		w := e.Watch(kv.Key(key), e.Get(kv.Key(key)).Revision)
		w.Through(e.Put(key, "1"))
		elsewhere := e.Put(e.Key("elsewhere"), "v")
		bookmarkAfter(w, elsewhere)
		truthful(e, w.Through(e.Put(key, "2")))
		w.ExpectAll()
	}},
}

// bookmarkAfter reads until a bookmark at rev or later comes, and returns it.
func bookmarkAfter(w *suite.Watching, rev kv.Revision) kv.Batch {
	return bookmarkAfterAsking(w, rev, w.E.Progress)
}

// bookmarkAfterAsking is bookmarkAfter for one way to ask.
func bookmarkAfterAsking(w *suite.Watching, rev kv.Revision, ask func()) kv.Batch {
	for {
		w.E.Logf("ask for bookmarks")
		ask()
		if b := w.Next(); b.IsBookmark() && b.Revision >= rev {
			return b
		}
	}
}

// truthful requires that every batch says how far the watch is, and that no batch is ahead of a later event.
func truthful(e *env, w *suite.Watching) {
	position := w.After
	for i, b := range w.Batches {
		for _, event := range b.Events {
			if i > 0 && event.ModRevision <= position {
				e.Errorf("a batch said that the watch of %s is complete up to %d, but then %v %s of revision %d came; the batches: %s",
					w.E.ShortRange(w.R), position, event.Type, w.E.Short(event.Key), event.ModRevision, suite.DescribeBatches(w.Batches[:i+1]))
				return
			}
		}
		if n := len(b.Events); n > 0 && b.Revision != b.Events[n-1].ModRevision {
			e.Errorf("a batch has revision %d, but its last event has revision %d: only a bookmark may be ahead of its events", b.Revision, b.Events[n-1].ModRevision)
			return
		}
		if b.Revision < position {
			e.Errorf("a batch said that the watch of %s is complete up to %d, but the next batch said %d: a watch after that delivers events again; the batches: %s",
				w.E.ShortRange(w.R), position, b.Revision, suite.DescribeBatches(w.Batches[:i+1]))
			return
		}
		position = b.Revision
	}
	// An event that never comes is missing if a batch was ahead of it.
	came := make(map[kv.Revision]bool)
	for _, event := range w.Events() {
		came[event.ModRevision] = true
	}
	for _, event := range w.E.Ledger.EventsAfter(w.R, w.After) {
		if event.ModRevision <= position && !came[event.ModRevision] {
			e.Errorf("a batch said that the watch of %s is complete up to %d, but %v %s of revision %d never came",
				w.E.ShortRange(w.R), position, event.Type, w.E.Short(event.Key), event.ModRevision)
			return
		}
	}
}
