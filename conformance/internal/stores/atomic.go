package stores

import (
	"bytes"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// atomicChecks are the checks of W5: all events of a commit are delivered in one batch.
var atomicChecks = []check{
	{"W5", "single-writes", "several writers concurrently put and delete one key at a time: each revision is one event, in live watches and in watches of the past", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		live := e.Watch(e.All(), start)
		e.Parallel(4, func(w int) error {
			for i := range 10 {
				key := e.Key(fmt.Sprint(w))
				if _, err := e.TryPut(e.Store, key, fmt.Sprint(i)); err != nil {
					return err
				}
				if i%3 != 2 {
					continue
				}
				if _, err := e.TryDelete(e.Store, key); err != nil {
					return err
				}
			}
			return nil
		})
		last := e.Put(e.Key("last"), "v")
		whole(e, live.Through(last))
		whole(e, e.Watch(e.All(), start).Through(last))
	}},
	{"W5", "live", "watches while others commit a hundred keys at a time", suite.Commit, func(e *env) {
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		e.commits(3, 4, 100, 0)
		whole(e, w.Through(e.Put(e.Key("last"), "v")))
	}},
	{"W5", "catch-up", "commits 97 keys at a time, a number that fits no page size, many times, and watches from before", suite.Commit, func(e *env) {
		start := e.Get(e.All()).Revision
		e.commits(3, 5, 97, 0)
		whole(e, e.Watch(e.All(), start).Through(e.Put(e.Key("last"), "v")))
	}},
	{"W5", "catch-up-long", "watches several thousand revisions of the past, with commits among them", suite.Commit, func(e *env) {
		long := e.sharedHistory()
		whole(long.env, long.Watch(long.All(), long.start).Through(long.last))
	}},
	{"W5", "large-values", "commits a megabyte in ten values, twice, and watches during the commits and from before", suite.Commit, func(e *env) {
		start := e.Get(e.All()).Revision
		live := e.Watch(e.All(), start)
		e.commits(2, 1, 10, 100<<10)
		last := e.Put(e.Key("last"), "v")
		whole(e, live.Through(last))
		whole(e, e.Watch(e.All(), start).Through(last))
	}},
	{"W5", "slow-consumer", "commits while the consumer of a watch is busy; then the consumer reads the rest", suite.Commit, func(e *env) {
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		w.Through(e.Put(e.Key("first"), "v"))
		e.commits(3, 4, 50, 2<<10)
		whole(e, w.Through(e.Put(e.Key("last"), "v")))
	}},
	{"W5", "part-of-a-commit", "watches a range that holds some of the keys of each commit, for commits of puts, of deletions and of both", suite.Commit, func(e *env) {
		start := e.Get(e.All()).Revision
		inside := kv.Prefix(e.Key("in/"))
		live := e.Watch(inside, start)
		for i := range 20 {
			var ops []kv.Op
			for n := range 10 {
				for _, place := range []string{"in/", "out/"} {
					key := e.Key(fmt.Sprint(place, n))
					if i%3 == 2 || i%3 == 1 && n%3 == 1 {
						ops = append(ops, kv.DeleteOp(key))
					} else {
						ops = append(ops, kv.PutOp(key, fmt.Append(nil, i)))
					}
				}
			}
			e.Commit(ops...)
		}
		last := e.Put(e.Key("in/last"), "v")
		whole(e, live.Through(last))
		whole(e, e.Watch(inside, start).Through(last))
	}},
}

// commits makes several writers commit concurrently. Each writer makes n commits. Each commit puts keys keys, with values of size bytes.
func (e *env) commits(writers, n, keys, size int) {
	e.Parallel(writers, func(w int) error {
		for i := range n {
			var ops []kv.Op
			for k := range keys {
				value := append(fmt.Appendf(nil, "%d of %d ", i, w), bytes.Repeat([]byte{'.'}, size)...)
				ops = append(ops, kv.PutOp(e.Key(fmt.Sprintf("%d/%d", w%2, k)), value))
			}
			if _, err := e.TryCommit(e.Store, ops...); err != nil {
				return err
			}
		}
		return nil
	})
}

// whole requires that a batch which has an event of a revision has all events of that revision.
func whole(e *env, w *suite.Watching) {
	total := make(map[kv.Revision]int)
	for _, event := range e.Ledger.EventsAfter(w.R, w.After) {
		total[event.ModRevision]++
	}
	for _, b := range w.Batches {
		in := make(map[kv.Revision]int)
		for _, event := range b.Events {
			in[event.ModRevision]++
		}
		for rev, n := range in {
			if n != total[rev] {
				e.Errorf("revision %d changed %d keys of %s in one commit, but a batch has the events of only %d of them; the batches: %s",
					rev, total[rev], e.ShortRange(w.R), n, suite.DescribeBatches(w.Batches))
				return
			}
		}
	}
}
