package conformance

import (
	"context"
	"fmt"
	"iter"

	"github.com/watchkv/watchkv/kv"
)

// gapChecks are those of W1: what lies between a Get and a Watch.
var gapChecks = []check{
	{"W1", "between-get-and-watch", "gets, writes, and only then watches after the revision of the get", 0, func(e *env) {
		for i := range 10 {
			start := e.get(e.all()).Revision
			e.put(e.key("a"), fmt.Sprint(i))
			e.put(e.key("b"), fmt.Sprint(i))
			e.delete(e.key("a"))
			w := e.watch(e.all(), start)
			last := e.put(e.key("c"), fmt.Sprint(i))
			w.through(last).expectAll()
			w.stop()
		}
	}},
	{"W1", "late", "gets, writes hundreds of times elsewhere and here, and watches after the revision of the get", 0, func(e *env) {
		key := e.key("here")
		start := e.get(kv.Key(key)).Revision
		e.parallel(8, func(w int) error {
			for i := range 40 {
				to := e.key(fmt.Sprint("elsewhere ", w))
				if i%10 == 0 {
					to = key
				}
				if _, err := e.tryPut(e.store, to, fmt.Sprint(i)); err != nil {
					return err
				}
			}
			return nil
		})
		w := e.watch(kv.Key(key), start)
		w.through(e.put(key, "last")).expectAll()
	}},
	{"W1", "beside-writers", "gets and then watches, many times, while others write all the time", 0, func(e *env) {
		var watches []*watching
		others := e.writers(3)
		for range 20 {
			others.more()
			watches = append(watches, e.watch(e.all(), e.get(e.all()).Revision))
		}
		others.stop()
		last := e.put(e.key("last"), "v")
		for _, w := range watches {
			w.through(last).expectAll()
		}
	}},
	{"W1", "cut-off-before-anything-came", "cuts the store off from a watch that has delivered nothing yet, and puts: once healed that comes, or the watch ends with an error", cut | again, func(e *env) {
		other := e.backend.Again(e, e.store)
		key := e.key("k")
		start := e.get(kv.Key(key)).Revision
		w := e.watch(kv.Key(key), start)
		e.underWay(w)
		heal := e.cut()
		for i := range 3 {
			_, err := e.tryPut(other, key, fmt.Sprint("meanwhile ", i))
			e.must("put", err)
		}
		heal()
		e.lossless(w, e.put(key, "after"))
	}},
	{"W1", "next-write-only", "gets, watches, and makes one write, many times: the first batch is that write", 0, func(e *env) {
		key := e.key("k")
		for i := range 20 {
			w := e.watch(kv.Key(key), e.get(kv.Key(key)).Revision)
			w.through(e.put(key, fmt.Sprint(i))).expectAll()
			w.stop()
		}
	}},
}

// orderChecks are those of W2, W3 and W4. They tell the same stories and look at them differently, so that a store
// that breaks one of the three is told which.
var orderChecks = append(append(append(
	stories("W2", ordered),
	stories("W3", unique)...),
	stories("W4", complete)...),
	check{"W4", "same-value", "puts the same value again and again: each put is an event", 0, func(e *env) {
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		var last kv.Revision
		for i := range 10 {
			last = e.put(e.key("k"), "same")
			if e.backend.Commit {
				last = e.commit(kv.PutOp(e.key("k"), []byte("same")), kv.PutOp(e.key("other"), fmt.Append(nil, i/2)))
			}
		}
		w.through(last).expectAll()
		e.watch(e.all(), start).through(last).expectAll()
	}},
	check{"W4", "deletions", "puts and deletes many keys, then watches from before: every deletion is there, also of keys put again", 0, func(e *env) {
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		for i := range 30 {
			e.put(e.key(fmt.Sprint(i)), "v")
		}
		for i := range 30 {
			e.delete(e.key(fmt.Sprint(i)))
			if i%3 == 0 {
				e.put(e.key(fmt.Sprint(i)), "again")
			}
		}
		last := e.put(e.key("last"), "v")
		w.through(last).expectAll()
		e.watch(e.all(), start).through(last).expectAll()
	}},
	check{"W4", "after-zero", "watches after revision zero, which is before all there ever was and not now: everything comes, or what is gone is said to be", 0, func(e *env) {
		e.put(e.key("k"), "1")
		last := e.put(e.key("k"), "2")
		w := e.watch(e.all(), 0)
		e.underWay(w) // one that begins now has begun
		e.expectCompactedOrAll(w, 0, last)
	}},
	check{"W4", "iterated-twice", "ranges over one sequence several times, at once and after one was left: each time is a watch of its own, from the same revision", 0, func(e *env) {
		start := e.get(e.all()).Revision
		first := e.put(e.key("k"), "1")
		ctx, cancel := context.WithCancel(e.Context())
		defer cancel()
		sequence := sequenceOf{e.store, e.store.Watch(ctx, e.all(), start)}
		a := e.watchVia(ctx, sequence, e.all(), start)
		a.through(first)
		second := e.put(e.key("k"), "2")
		a.through(second).expectAll()
		b := e.watchVia(ctx, sequence, e.all(), start)
		b.through(second).expectAll()
		third := e.put(e.key("k"), "3")
		a.through(third).expectAll()
		b.through(third).expectAll()
		a.stop()
		e.watchVia(ctx, sequence, e.all(), start).through(third).expectAll()
		b.through(e.put(e.key("k"), "4")).expectAll()
	}},
	check{"W4", "cut-and-healed", "cuts the store off while a watch runs and others write, and heals it: nothing is lost, or the watch ends with an error", cut | again, func(e *env) {
		other := e.backend.Again(e, e.store)
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		w.through(e.put(e.key("k"), "before"))
		heal := e.cut()
		for i := range 5 {
			_, err := e.tryPut(other, e.key("k"), fmt.Sprint("meanwhile ", i))
			e.must("put", err)
		}
		heal()
		last := e.put(e.key("k"), "after")
		e.lossless(w, last)
	}},
)

// stories are checks of one guarantee that differ in how events come about. holds looks at what a watch read.
func stories(guarantee string, holds func(*env, *watching)) []check {
	return []check{
		{guarantee, "burst", "watches while eight others put, delete and put again, as fast as they can", 0, func(e *env) {
			start := e.get(e.all()).Revision
			w := e.watch(e.all(), start)
			e.churn(8, 20)
			holds(e, w.through(e.put(e.key("last"), "v")))
		}},
		{guarantee, "catch-up", "watches several thousand revisions of the past", 0, func(e *env) {
			long := e.longHistory()
			holds(e, long.watch(long.all(), long.start).through(long.last))
		}},
		{guarantee, "catch-up-while-writing", "watches from the past while others write: where the two meet nothing is amiss", 0, func(e *env) {
			start := e.get(e.all()).Revision
			e.churn(4, 25)
			others := e.writers(3)
			var watches []*watching
			for range 5 {
				others.more()
				w := e.watch(e.all(), start)
				w.next()
				watches = append(watches, w)
			}
			others.stop()
			last := e.put(e.key("last"), "v")
			for _, w := range watches {
				holds(e, w.through(last))
			}
		}},
	}
}

// sequenceOf is a store whose Watch is one sequence.
type sequenceOf struct {
	kv.Store
	sequence iter.Seq2[kv.Batch, error]
}

func (s sequenceOf) Watch(context.Context, kv.Range, kv.Revision) iter.Seq2[kv.Batch, error] {
	return s.sequence
}

// ordered requires no event to come after one of a later revision.
func ordered(e *env, w *watching) {
	last := w.after
	for _, event := range w.events() {
		if event.ModRevision < last {
			e.Errorf("%v %s of revision %d came after an event of revision %d", event.Type, w.e.short(event.Key), event.ModRevision, last)
			return
		}
		last = event.ModRevision
	}
	position := w.after
	for _, b := range w.batches {
		if b.Revision < position {
			e.Errorf("a batch of revision %d came after one of %d", b.Revision, position)
			return
		}
		position = b.Revision
	}
}

// unique requires no event to come twice.
func unique(e *env, w *watching) {
	type id struct {
		key string
		rev kv.Revision
	}
	seen := make(map[id]bool)
	for _, event := range w.events() {
		if seen[id{event.Key, event.ModRevision}] {
			e.Errorf("%v %s of revision %d came twice", event.Type, w.e.short(event.Key), event.ModRevision)
			return
		}
		seen[id{event.Key, event.ModRevision}] = true
	}
}

// complete requires every event to come that was written, as it was written.
func complete(e *env, w *watching) {
	came := make(map[seen]bool)
	for _, event := range seenEvents(w.events()) {
		came[event] = true
	}
	missing := 0
	var first seen
	written := seenEvents(w.e.ledger.eventsAfter(w.r, w.after))
	for _, event := range written {
		if event.ModRevision <= w.position() && !came[event] {
			if missing == 0 {
				first = event
			}
			missing++
		}
	}
	if missing > 0 {
		e.Errorf("%d of %d events did not come, the first being %v", missing, len(written), first)
	}
}

// churn puts, deletes and puts again a few keys, by several writers at once, n times each.
func (e *env) churn(writers, n int) {
	e.parallel(writers, func(w int) error {
		for i := range n {
			key := e.key(fmt.Sprint(i % 5))
			var err error
			if i%7 == w%7 {
				_, err = e.tryDelete(e.store, key)
			} else {
				_, err = e.tryPut(e.store, key, fmt.Sprintf("%d of %d", i, w))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// lossless requires w to come as far as rev without a gap, or to end with an error that says there may be one, after
// which a new watch goes on from where it was.
func (e *env) lossless(w *watching, rev kv.Revision) {
	for w.position() < rev {
		if _, err, ok := w.tryNext(); !ok {
			if err == nil || err == errInVain {
				e.Errorf("the watch is at revision %d, of %d, and %s", w.position(), rev, endText(err))
				return
			}
			w.expectAll()
			next := e.watch(w.r, w.position())
			next.through(rev).expectAll()
			return
		}
	}
	w.expectAll()
}
