package conformance

import (
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// bookmarkChecks are those of W7: what a batch's Revision says.
var bookmarkChecks = []check{
	// first, while the store holds little
	{"W7", "restored", "takes the store back to a backup, and asks for a bookmark of a watch begun then: it is not ahead of what is written then", progress | backup, func(e *env) {
		_, was := e.watchPastBackup()
		e.readable()
		e.ledger.forget(was.Revision)
		w := e.watch(e.all(), e.get(e.all()).Revision)
		w.bookmarkAfter(w.through(e.put(e.key("k"), "another future")).position())
		truthful(e, w.through(e.put(e.key("k"), "and on")))
		w.expectAll()
	}},
	{"W7", "last-event", "watches a burst and a long past: each batch's Revision is that of its last event", 0, func(e *env) {
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		e.churn(4, 25)
		truthful(e, w.through(e.put(e.key("last"), "v")))
		long := e.longHistory()
		truthful(e, long.watch(long.all(), long.start).through(long.last))
	}},
	{"W7", "writes-elsewhere", "watches one key from the past while others are written: no batch is ahead of an event that comes", 0, func(e *env) {
		key := e.key("here")
		start := e.get(kv.Key(key)).Revision
		w := e.watch(kv.Key(key), start)
		var last kv.Revision
		for i := range 10 {
			e.put(e.key("elsewhere"), fmt.Sprint(i))
			last = e.put(key, fmt.Sprint(i))
			e.put(e.key("elsewhere"), fmt.Sprint(i))
		}
		truthful(e, w.through(last))
		truthful(e, e.watch(kv.Key(key), start).through(last))
	}},
	{"W7", "asked-for", "asks for bookmarks all the time, of a live watch and one of the past, while others write", progress, func(e *env) {
		start := e.get(e.all()).Revision
		e.churn(4, 25)
		others := e.writers(2)
		var watches []*watching
		for range 4 {
			watches = append(watches, e.watch(e.all(), start), e.watch(e.all(), e.get(e.all()).Revision))
		}
		for range 10 {
			others.more()
			e.progress()
			for _, w := range watches {
				w.next()
			}
		}
		others.stop()
		e.progress()
		last := e.put(e.key("last"), "v")
		for _, w := range watches {
			truthful(e, w.through(last))
		}
	}},
	{"W7", "busy-consumer", "asks for a bookmark while the consumer of a watch is busy, and writes before it reads on: the bookmark is not ahead of that", progress, func(e *env) {
		w := e.watch(e.all(), e.get(e.all()).Revision)
		w.through(e.put(e.key("k"), "first"))
		for i := range 10 {
			e.progress()
			e.put(e.key("k"), fmt.Sprint(i))
			w.through(e.put(e.key("k"), fmt.Sprint(i, " again")))
		}
		truthful(e, w)
		w.expectAll()
	}},
	{"W7", "idle", "asks for a bookmark while only other keys are written: it comes, and what follows it is later", progress, func(e *env) {
		key := e.key("here")
		w := e.watch(kv.Key(key), e.get(kv.Key(key)).Revision)
		w.through(e.put(key, "1"))
		elsewhere := e.put(e.key("elsewhere"), "v")
		w.bookmarkAfter(elsewhere)
		truthful(e, w.through(e.put(key, "2")))
		w.expectAll()
	}},
}

// bookmarkAfter reads until a bookmark of at least rev comes, and returns it.
func (w *watching) bookmarkAfter(rev kv.Revision) kv.Batch {
	return w.bookmarkAfterAsking(rev, w.e.progress)
}

// bookmarkAfterAsking is bookmarkAfter for one way to ask.
func (w *watching) bookmarkAfterAsking(rev kv.Revision, ask func()) kv.Batch {
	for {
		w.e.Logf("ask for bookmarks")
		ask()
		if b := w.next(); b.IsBookmark() && b.Revision >= rev {
			return b
		}
	}
}

// truthful requires every batch to say how far the watch is, and never to be ahead of what follows.
func truthful(e *env, w *watching) {
	position := w.after
	for i, b := range w.batches {
		for _, event := range b.Events {
			if i > 0 && event.ModRevision <= position {
				e.Errorf("a batch said that the watch of %s is complete up to %d, and then %v %s of revision %d came; the batches: %s",
					w.e.shortRange(w.r), position, event.Type, w.e.short(event.Key), event.ModRevision, describeBatches(w.batches[:i+1]))
				return
			}
		}
		if n := len(b.Events); n > 0 && b.Revision != b.Events[n-1].ModRevision {
			e.Errorf("a batch has revision %d, and its last event %d: only a bookmark may say more than events show", b.Revision, b.Events[n-1].ModRevision)
			return
		}
		if b.Revision < position {
			e.Errorf("a batch said that the watch of %s is complete up to %d, and the next one %d: who goes on after that is told again; the batches: %s",
				w.e.shortRange(w.r), position, b.Revision, describeBatches(w.batches[:i+1]))
			return
		}
		position = b.Revision
	}
	// What never comes, although a batch was ahead of it, is missing.
	came := make(map[kv.Revision]bool)
	for _, event := range w.events() {
		came[event.ModRevision] = true
	}
	for _, event := range w.e.ledger.eventsAfter(w.r, w.after) {
		if event.ModRevision <= position && !came[event.ModRevision] {
			e.Errorf("a batch said that the watch of %s is complete up to %d, but %v %s of revision %d never came",
				w.e.shortRange(w.r), position, event.Type, w.e.short(event.Key), event.ModRevision)
			return
		}
	}
}
