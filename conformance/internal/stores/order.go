package stores

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// gapChecks are the checks of W1: writes between a Get and a Watch.
var gapChecks = []check{
	{"W1", "between-get-and-watch", "gets, writes, and only then watches after the revision of the get", 0, func(e *env) {
		for i := range 10 {
			start := e.Get(e.All()).Revision
			e.Put(e.Key("a"), fmt.Sprint(i))
			e.Put(e.Key("b"), fmt.Sprint(i))
			e.Delete(e.Key("a"))
			w := e.Watch(e.All(), start)
			last := e.Put(e.Key("c"), fmt.Sprint(i))
			w.Through(last).ExpectAll()
			w.Stop()
		}
	}},
	{"W1", "late", "gets, writes hundreds of times in the range and outside it, and watches after the revision of the get", 0, func(e *env) {
		key := e.Key("here")
		start := e.Get(kv.Key(key)).Revision
		e.Parallel(8, func(w int) error {
			for i := range 25 {
				to := e.Key(fmt.Sprint("elsewhere ", w))
				if i%10 == 0 {
					to = key
				}
				if _, err := e.TryPut(e.Store, to, fmt.Sprint(i)); err != nil {
					return err
				}
			}
			return nil
		})
		w := e.Watch(kv.Key(key), start)
		w.Through(e.Put(key, "last")).ExpectAll()
	}},
	{"W1", "while-writing", "gets and then watches, many times, while others write", 0, func(e *env) {
		var watches []*suite.Watching
		others := e.Writers(3)
		for range 20 {
			others.More()
			watches = append(watches, e.Watch(e.All(), e.Get(e.All()).Revision))
		}
		others.Stop()
		last := e.Put(e.Key("last"), "v")
		for _, w := range watches {
			w.Through(last).ExpectAll()
		}
	}},
	{"W1", "cut-off-before-anything-came", "cuts off a watch that has delivered nothing yet, and puts, three times: after the heal the put comes, or the watch ends with an error", suite.Cut | suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		key := e.Key("k")
		for i := range 3 { // several times, because nothing shows when a watch that delivers nothing has begun
			w := e.Watch(kv.Key(key), e.Get(kv.Key(key)).Revision)
			e.underWay(w)
			heal := e.Cut()
			for j := range 3 {
				_, err := e.TryPut(other, key, fmt.Sprint("meanwhile ", i, j))
				e.Must("put", err)
			}
			heal()
			e.lossless(w, e.Put(key, fmt.Sprint("after ", i)))
		}
	}},
	{"W1", "next-write-only", "gets, watches, and makes one write, many times: the first batch is that write", 0, func(e *env) {
		key := e.Key("k")
		for i := range 20 {
			w := e.Watch(kv.Key(key), e.Get(kv.Key(key)).Revision)
			w.Through(e.Put(key, fmt.Sprint(i))).ExpectAll()
			w.Stop()
		}
	}},
}

// orderChecks are the checks of W2, W3 and W4. They share their stories and differ in what they expect, so that a failure says which of the
// three guarantees the store breaks.
var orderChecks = append(append(append(
	stories("W2", ordered),
	stories("W3", unique)...),
	stories("W4", complete)...),
	check{"W4", "same-value", "puts the same value many times: each put is an event", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		var last kv.Revision
		for i := range 10 {
			last = e.Put(e.Key("k"), "same")
			if e.Backend.Commit {
				last = e.Commit(kv.PutOp(e.Key("k"), []byte("same")), kv.PutOp(e.Key("other"), fmt.Append(nil, i/2)))
			}
		}
		w.Through(last).ExpectAll()
		e.Watch(e.All(), start).Through(last).ExpectAll()
	}},
	check{"W4", "deletions", "puts and deletes many keys, then watches from before: every deletion comes, even of keys that were put again", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		for i := range 30 {
			e.Put(e.Key(fmt.Sprint(i)), "v")
		}
		for i := range 30 {
			e.Delete(e.Key(fmt.Sprint(i)))
			if i%3 == 0 {
				e.Put(e.Key(fmt.Sprint(i)), "again")
			}
		}
		last := e.Put(e.Key("last"), "v")
		w.Through(last).ExpectAll()
		e.Watch(e.All(), start).Through(last).ExpectAll()
	}},
	check{"W4", "after-zero", "watches after revision zero, which means from the beginning and not from now: everything comes, or the watch ends as compacted", 0, func(e *env) {
		e.Put(e.Key("k"), "1")
		last := e.Put(e.Key("k"), "2")
		w := e.Watch(e.All(), 0)
		e.underWay(w) // if the store took zero for now, the watch has begun by then
		e.expectCompactedOrAll(w, 0, last)
	}},
	check{"W4", "iterated-twice", "iterates one sequence several times, concurrently and one after another: each iteration is a separate watch, from the same revision", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		first := e.Put(e.Key("k"), "1")
		ctx, cancel := context.WithCancel(e.Context())
		defer cancel()
		sequence := sequenceOf{e.Store, e.Store.Watch(ctx, e.All(), start)}
		a := e.WatchVia(ctx, sequence, e.All(), start)
		a.Through(first)
		second := e.Put(e.Key("k"), "2")
		a.Through(second).ExpectAll()
		b := e.WatchVia(ctx, sequence, e.All(), start)
		b.Through(second).ExpectAll()
		third := e.Put(e.Key("k"), "3")
		a.Through(third).ExpectAll()
		b.Through(third).ExpectAll()
		a.Stop()
		e.WatchVia(ctx, sequence, e.All(), start).Through(third).ExpectAll()
		b.Through(e.Put(e.Key("k"), "4")).ExpectAll()
	}},
	check{"W4", "iterated-after-a-failure", "ends the streams of the store while a sequence is iterated, and iterates the sequence again: that is a new watch, which does not know of the failure", suite.EndStreams, func(e *env) {
		start := e.Get(e.All()).Revision
		sequence := sequenceOf{e.Store, e.Store.Watch(e.Context(), e.All(), start)}
		first := e.Put(e.Key("k"), "1")
		w := e.WatchVia(e.Context(), sequence, e.All(), start).Through(first)
		e.EndStreams()
		last := e.Put(e.Key("k"), "2")
		e.lossless(w, last)
		e.WatchVia(e.Context(), sequence, e.All(), start).Through(last).ExpectAll()
	}},
	check{"W4", "another-watch-ends", "begins several watches of the same range, ends the one that was begun first, by cancel or by break, and writes: the others go on", 0, func(e *env) {
		for i, r := range []kv.Range{e.All(), kv.Key(e.Key("k"))} {
			start := e.Get(r).Revision
			var watches []*suite.Watching
			for range 4 {
				w := e.Watch(r, start)
				e.underWay(w)
				watches = append(watches, w)
			}
			e.Put(e.Key("k"), fmt.Sprint(i))
			for n, w := range watches {
				w.Through(e.Ledger.Last())
				if n%2 == 0 {
					w.Cancel()
					e.expectEnd(w, context.Canceled)
				} else if close(w.Brk); !w.Finished(e.AtOnce()) {
					e.Fatalf("%s was ended by break and has not returned %v later", w, e.AtOnce())
				}
				last := e.Put(e.Key("k"), fmt.Sprint(i, n))
				for _, other := range watches[n+1:] {
					other.Through(last).ExpectAll()
				}
			}
		}
	}},
	check{"W4", "sparse-past", "watches single keys of a long past in which almost all events are of other keys", 0, func(e *env) {
		long := e.sharedHistory()
		events := long.Ledger.EventsAfter(long.All(), long.start)
		of := make(map[string][]kv.Event)
		for _, event := range events {
			of[event.Key] = append(of[event.Key], event)
		}
		var watches []*suite.Watching
		for i, event := range events {
			if len(of[event.Key]) == 1 && (i%25 == 0 || event.ModRevision == long.last) {
				watches = append(watches, long.Watch(kv.Key(event.Key), long.start))
			}
		}
		for _, w := range watches {
			key, _ := w.R.Key()
			w.Through(of[key][0].ModRevision).ExpectAll()
		}
	}},
	check{"W4", "every-number-of-events", "watches the last part of a long past; the numbers of events and of revisions in it are one less than the size of a page, equal to it, and one more", 0, func(e *env) {
		long := e.sharedHistory()
		events := long.Ledger.EventsAfter(long.All(), long.start)
		revisions := slices.CompactFunc(slices.Clone(events), func(a, b kv.Event) bool { return a.ModRevision == b.ModRevision })
		afters := make(map[kv.Revision]bool)
		for _, n := range pageSizes() {
			for _, all := range [][]kv.Event{events, revisions} {
				if n < len(all) {
					afters[all[len(all)-1-n].ModRevision] = true
				}
			}
		}
		var watches []*suite.Watching
		for after := range afters {
			watches = append(watches, long.Watch(long.All(), after))
		}
		for _, w := range watches {
			w.Through(long.last).ExpectAll()
		}
	}},
	check{"W4", "large-past", "watches three megabytes of the past", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		for i := range 3 {
			e.Put(e.Key(fmt.Sprint(i)), strings.Repeat(fmt.Sprint(i), 1<<20))
		}
		e.Watch(e.All(), start).Through(e.Put(e.Key("last"), "v")).ExpectAll()
	}},
	check{"W4", "written-elsewhere", "watches through a store that is not used otherwise, while another store over the same data puts and deletes: every event comes", suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		w := e.Watch(e.All(), e.Get(e.All()).Revision)
		e.underWay(w)
		for i := range 5 { // before each round the watch has delivered everything
			rev, err := e.TryPut(other, e.Key("k"), fmt.Sprint(i))
			e.Must("put", err)
			w.Through(rev)
			rev, err = e.TryDelete(other, e.Key("k"))
			e.Must("delete", err)
			w.Through(rev)
		}
		w.ExpectAll()
	}},
	check{"W4", "cut-and-healed", "cuts the store off while a watch runs and others write, and heals the cut: nothing is lost, or the watch ends with an error", suite.Cut | suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		w.Through(e.Put(e.Key("k"), "before"))
		heal := e.Cut()
		for i := range 5 {
			_, err := e.TryPut(other, e.Key("k"), fmt.Sprint("meanwhile ", i))
			e.Must("put", err)
		}
		heal()
		last := e.Put(e.Key("k"), "after")
		e.lossless(w, last)
	}},
)

// stories returns checks of one guarantee that differ in how the events are made. holds checks what a watch has delivered.
func stories(guarantee string, holds func(*env, *suite.Watching)) []check {
	return []check{
		{guarantee, "burst", "watches ranges of every kind while eight others put, delete and put again, as fast as they can, and then commits puts and deletions of the same keys", 0, func(e *env) {
			start := e.Get(e.All()).Revision
			var watches []*suite.Watching
			for _, r := range []kv.Range{e.All(), kv.Key(e.Key("0")), kv.Key(e.Key("1")), kv.Interval(e.Key("1"), e.Key("4")), kv.All()} {
				watches = append(watches, e.Watch(r, start))
			}
			e.churn(8, 20)
			if e.Backend.Commit {
				e.Commit(kv.PutOp(e.Key("0"), nil), kv.PutOp(e.Key("1"), nil), kv.DeleteOp(e.Key("2")), kv.PutOp(e.Key("3"), nil))
				e.Commit(kv.DeleteOp(e.Key("0")), kv.PutOp(e.Key("1"), nil), kv.PutOp(e.Key("2"), nil), kv.DeleteOp(e.Key("3")))
			}
			e.throughAll(watches)
			for i := range 5 { // now a watch that repeats what it has delivered does so
				e.Put(e.Key(fmt.Sprint(i)), "last")
			}
			e.throughAll(watches)
			for _, w := range watches {
				holds(e, w)
			}
		}},
		{guarantee, "catch-up", "watches several thousand revisions of the past", 0, func(e *env) {
			long := e.sharedHistory()
			holds(e, long.Watch(long.All(), long.start).Through(long.last))
		}},
		{guarantee, "catch-up-while-writing", "watches from the past while others write: nothing is wrong where the past meets the new events", 0, func(e *env) {
			start := e.Get(e.All()).Revision
			e.churn(4, 25)
			others := e.Writers(3)
			var watches []*suite.Watching
			for range 5 {
				others.More()
				w := e.Watch(e.All(), start)
				w.Next()
				watches = append(watches, w)
			}
			others.Stop()
			last := e.Put(e.Key("last"), "v")
			for _, w := range watches {
				holds(e, w.Through(last))
			}
		}},
	}
}

// throughAll reads each watch up to the last event of its range.
func (e *env) throughAll(watches []*suite.Watching) {
	for _, w := range watches {
		events := e.Ledger.EventsAfter(w.R, w.After)
		w.Through(events[len(events)-1].ModRevision)
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

// ordered requires that no event comes after an event of a later revision.
func ordered(e *env, w *suite.Watching) {
	last := w.After
	for _, event := range w.Events() {
		if event.ModRevision < last {
			e.Errorf("%v %s of revision %d came after an event of revision %d", event.Type, w.E.Short(event.Key), event.ModRevision, last)
			return
		}
		last = event.ModRevision
	}
	position := w.After
	for _, b := range w.Batches {
		if b.Revision < position {
			e.Errorf("a batch of revision %d came after a batch of revision %d", b.Revision, position)
			return
		}
		position = b.Revision
	}
}

// eventID distinguishes the events of a store: no revision changes a key twice.
type eventID struct {
	key string
	rev kv.Revision
}

func idOf(event kv.Event) eventID { return eventID{event.Key, event.ModRevision} }

// unique requires that no event comes twice.
func unique(e *env, w *suite.Watching) {
	seen := make(map[eventID]bool)
	for _, event := range w.Events() {
		if seen[idOf(event)] {
			e.Errorf("%v %s of revision %d came twice", event.Type, w.E.Short(event.Key), event.ModRevision)
			return
		}
		seen[idOf(event)] = true
	}
}

// complete requires that every event that was written comes, as it was written.
func complete(e *env, w *suite.Watching) {
	came := make(map[eventID][]kv.Event)
	for _, event := range w.Events() {
		came[idOf(event)] = append(came[idOf(event)], event)
	}
	missing := 0
	var first kv.Event
	var otherwise []kv.Event // how the first one came
	written := w.E.Ledger.EventsAfter(w.R, w.After)
	for _, event := range written {
		same := func(other kv.Event) bool { return suite.SameEvent(event, other) }
		if event.ModRevision <= w.Position() && !slices.ContainsFunc(came[idOf(event)], same) {
			if missing == 0 {
				first, otherwise = event, came[idOf(event)]
			}
			missing++
		}
	}
	switch {
	case missing == 0:
	case otherwise != nil:
		e.Errorf("%d of %d events did not come as they were written; the first of them is %v, but what came is %v",
			missing, len(written), suite.SeenEvent(first), suite.SeenEvent(otherwise[0]))
	default:
		e.Errorf("%d of %d events did not come; the first of them is %v", missing, len(written), suite.SeenEvent(first))
	}
}

// churn makes several writers concurrently put, delete and put again a few keys, n times each.
func (e *env) churn(writers, n int) {
	e.Parallel(writers, func(w int) error {
		for i := range n {
			key := e.Key(fmt.Sprint(i % 5))
			var err error
			if i%7 == w%7 {
				_, err = e.TryDelete(e.Store, key)
			} else {
				_, err = e.TryPut(e.Store, key, fmt.Sprintf("%d of %d", i, w))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// lossless requires that w delivers everything up to rev, or ends with an error that reports a possible gap. In the latter case a new watch
// resumes after the last batch.
func (e *env) lossless(w *suite.Watching, rev kv.Revision) {
	for w.Position() < rev {
		if _, err, ok := w.TryNext(); !ok {
			if err == nil || err == suite.ErrInVain {
				e.Errorf("the watch is at revision %d and should reach %d, but %s", w.Position(), rev, suite.EndText(err))
				return
			}
			w.ExpectAll()
			next := e.Watch(w.R, w.Position())
			next.Through(rev).ExpectAll()
			return
		}
	}
	w.ExpectAll()
}
