package conformance

import (
	"bytes"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// atomicChecks are those of W5: a commit is one thing, also on its way through a watch.
var atomicChecks = []check{
	{"W5", "single-writes", "puts and deletes, one key at a time, by several writers at once: each revision is one event, live and as the past", 0, func(e *env) {
		start := e.get(e.all()).Revision
		live := e.watch(e.all(), start)
		e.parallel(4, func(w int) error {
			for i := range 10 {
				key := e.key(fmt.Sprint(w))
				if _, err := e.tryPut(e.store, key, fmt.Sprint(i)); err != nil {
					return err
				}
				if i%3 != 2 {
					continue
				}
				if _, err := e.tryDelete(e.store, key); err != nil {
					return err
				}
			}
			return nil
		})
		last := e.put(e.key("last"), "v")
		whole(e, live.through(last))
		whole(e, e.watch(e.all(), start).through(last))
	}},
	{"W5", "live", "watches while others commit a hundred keys at a time", commit, func(e *env) {
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		e.commits(3, 4, 100, 0)
		whole(e, w.through(e.put(e.key("last"), "v")))
	}},
	{"W5", "catch-up", "commits 97 keys at a time, which is in step with no page, many times, and watches from before", commit, func(e *env) {
		start := e.get(e.all()).Revision
		e.commits(3, 5, 97, 0)
		whole(e, e.watch(e.all(), start).through(e.put(e.key("last"), "v")))
	}},
	{"W5", "catch-up-long", "watches several thousand revisions of the past, with commits among them", commit, func(e *env) {
		long := e.longHistory()
		whole(long.env, long.watch(long.all(), long.start).through(long.last))
	}},
	{"W5", "large-values", "commits a megabyte in ten values, several times, and watches as that happens and from before", commit, func(e *env) {
		start := e.get(e.all()).Revision
		live := e.watch(e.all(), start)
		e.commits(2, 2, 10, 100<<10)
		last := e.put(e.key("last"), "v")
		whole(e, live.through(last))
		whole(e, e.watch(e.all(), start).through(last))
	}},
	{"W5", "slow-consumer", "commits while the consumer of a watch is busy, which then reads on", commit, func(e *env) {
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		w.through(e.put(e.key("first"), "v"))
		e.commits(3, 4, 50, 2<<10)
		whole(e, w.through(e.put(e.key("last"), "v")))
	}},
	{"W5", "part-of-a-commit", "watches a range that has a part of each commit, of puts, of deletions and of both", commit, func(e *env) {
		start := e.get(e.all()).Revision
		inside := kv.Prefix(e.key("in/"))
		live := e.watch(inside, start)
		for i := range 20 {
			var ops []kv.Op
			for n := range 10 {
				for _, place := range []string{"in/", "out/"} {
					key := e.key(fmt.Sprint(place, n))
					if i%3 == 2 || i%3 == 1 && n%3 == 1 {
						ops = append(ops, kv.DeleteOp(key))
					} else {
						ops = append(ops, kv.PutOp(key, fmt.Append(nil, i)))
					}
				}
			}
			e.commit(ops...)
		}
		last := e.put(e.key("in/last"), "v")
		whole(e, live.through(last))
		whole(e, e.watch(inside, start).through(last))
	}},
}

// commits makes n commits by each of several writers, each of so many keys with values of size bytes.
func (e *env) commits(writers, n, keys, size int) {
	e.parallel(writers, func(w int) error {
		for i := range n {
			var ops []kv.Op
			for k := range keys {
				value := append(fmt.Appendf(nil, "%d of %d ", i, w), bytes.Repeat([]byte{'.'}, size)...)
				ops = append(ops, kv.PutOp(e.key(fmt.Sprintf("%d/%d", w%2, k)), value))
			}
			if _, err := e.tryCommit(e.store, ops...); err != nil {
				return err
			}
		}
		return nil
	})
}

// whole requires every batch that has an event of a revision to have all of them.
func whole(e *env, w *watching) {
	total := make(map[kv.Revision]int)
	for _, event := range e.ledger.eventsAfter(w.r, w.after) {
		total[event.ModRevision]++
	}
	for _, b := range w.batches {
		in := make(map[kv.Revision]int)
		for _, event := range b.Events {
			in[event.ModRevision]++
		}
		for rev, n := range in {
			if n != total[rev] {
				e.Errorf("revision %d changed %d keys of %s in one commit, and a batch has the events of %d of them; the batches: %s",
					rev, total[rev], e.shortRange(w.r), n, describeBatches(w.batches))
				return
			}
		}
	}
}
