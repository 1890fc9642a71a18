package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// readChecks are those of S1 and S2: what a Get sees, beside writers.
var readChecks = []check{
	{"S1", "own-writes", "puts and deletes a key many times, and gets it after each", 0, func(e *env) {
		key := e.key("k")
		for i := range 50 {
			var rev kv.Revision
			if i%5 == 4 {
				rev = e.delete(key)
			} else {
				rev = e.put(key, fmt.Sprint(i))
			}
			e.expectFresh(e.store, kv.Key(key), rev)
		}
	}},
	{"S1", "writes-of-others", "writes through one store and gets through another onto the same data, in turns", again, func(e *env) {
		stores := []Store{e.store, e.backend.Again(e, e.store)}
		key := e.key("k")
		for i := range 50 {
			writer, reader := stores[i%2], stores[1-i%2]
			rev, err := e.tryPut(writer, key, fmt.Sprint(i))
			e.must("put", err)
			if i%5 == 4 {
				rev, err = e.tryDelete(writer, key)
				e.must("delete", err)
			}
			e.expectFresh(reader, e.all(), rev)
		}
	}},
	{"S1", "own-commits", "commits puts and deletions, and gets each of the keys, and all of them, after each and before", commit, func(e *env) {
		keys := []string{e.key("a"), e.key("b"), e.key("c")}
		for i := range 12 {
			var ops []kv.Op
			for n, key := range keys {
				if (i+n)%3 == 2 {
					ops = append(ops, kv.DeleteOp(key))
				} else {
					ops = append(ops, kv.PutOp(key, fmt.Append(nil, i)))
				}
			}
			rev := e.commit(ops...)
			for _, key := range keys {
				e.expectFresh(e.store, kv.Key(key), rev)
			}
			e.expectFresh(e.store, e.all(), rev)
		}
	}},
	{"S1", "cut-off", "gets, is cut off, and others write: a get fails while that lasts, and knows all when it is healed", cut | again, func(e *env) {
		other := e.backend.Again(e, e.store)
		key := e.key("k")
		e.expectFresh(e.store, kv.Key(key), e.put(key, "before"))
		heal := e.cut()
		rev, err := e.tryPut(other, key, "meanwhile")
		e.must("put", err)
		ctx, cancel := context.WithTimeout(e.Context(), 50*time.Millisecond)
		defer cancel()
		if got, err := e.store.Get(ctx, kv.Key(key)); err == nil {
			e.Errorf("a get of a store that is cut off returned %v, of revision %d", seenEntries(got.Entries), got.Revision)
		}
		heal()
		e.expectFresh(e.store, kv.Key(key), rev)
	}},
	{"S1", "beside-writers", "gets while four others put, and each time requires all that was acknowledged before", 0, func(e *env) {
		others := e.writers(4)
		for range 25 {
			others.more()
			e.expectNoneOlder()
		}
		others.stop()
	}},
	{"S2", "one-revision", "gets many keys in a range while its first and its last key are put in turns", 0, func(e *env) {
		e.fill(900)
		first, last := e.key("!first"), e.key("~last")
		e.put(first, "0")
		e.put(last, "0")
		got := e.getsBeside(10, func(i int) error {
			if _, err := e.tryPut(e.store, first, fmt.Sprint(i)); err != nil {
				return err
			}
			_, err := e.tryPut(e.store, last, fmt.Sprint(i))
			return err
		})
		for _, snapshot := range got {
			e.expectSnapshot(e.all(), snapshot)
		}
	}},
	{"S2", "deletions", "deletes keys of a range, the newest and the oldest among them, and gets what is left after each", 0, func(e *env) {
		for i := range 6 {
			e.put(e.key(fmt.Sprint(i)), "v")
		}
		for _, i := range []int{5, 0, 3, 4} {
			e.delete(e.key(fmt.Sprint(i)))
			for _, r := range []kv.Range{e.all(), kv.Interval(e.key("0"), e.key("9")), kv.Key(e.key("1"))} {
				e.expectSnapshot(r, e.get(r))
			}
		}
	}},
	{"S2", "commits-whole", "gets a range while commits give many keys across it the same value", commit, func(e *env) {
		e.fill(900)
		// Every key of a commit lies between others that do not change.
		ops := func(i int) []kv.Op {
			var ops []kv.Op
			for n := range 30 {
				ops = append(ops, kv.PutOp(e.key(fmt.Sprintf("key-%05d-together", n*30)), fmt.Append(nil, i)))
			}
			return ops
		}
		e.commit(ops(0)...)
		got := e.getsBeside(10, func(i int) error {
			_, err := e.tryCommit(e.store, ops(i)...)
			return err
		})
		for _, snapshot := range got {
			values := make(map[string]bool)
			for _, entry := range snapshot.Entries {
				if strings.HasSuffix(entry.Key, "-together") {
					values[string(entry.Value)] = true
				}
			}
			if len(values) != 1 {
				e.Errorf("a commit is half seen: keys that always have one value have %d at revision %d", len(values), snapshot.Revision)
			}
			e.expectSnapshot(e.all(), snapshot)
		}
	}},
	{"S2", "many-sorted", "gets several thousand keys that were put in no order, some of odd bytes", 0, func(e *env) {
		e.fill(3000)
		for _, odd := range []string{"key-\x00", "key-\xff", "key-00010\x00", "key-00010\xff", "key-00010/", "key-0001", "KEY", "\xff", "\x00"} {
			e.put(e.key(odd), "odd")
		}
		got := e.get(e.all())
		if !slices.IsSortedFunc(got.Entries, func(a, b kv.Entry) int { return strings.Compare(a.Key, b.Key) }) {
			e.Errorf("%d entries are not sorted by the bytes of their keys", len(got.Entries))
		}
		e.expectSnapshot(e.all(), got)
		if last := e.ledger.last(); got.Revision < last {
			e.Errorf("the snapshot is of revision %d, though %d was acknowledged before", got.Revision, last)
		}
	}},
	{"S2", "only-the-range", "gets ranges of every kind, among keys at their edges", 0, func(e *env) {
		for _, key := range edgeKeys(e.prefix) {
			e.put(key, "v")
		}
		for _, r := range edgeRanges(e.prefix) {
			got := e.get(r)
			for _, entry := range got.Entries {
				if !r.Contains(entry.Key) {
					e.Errorf("%s is not in %s, but was returned", e.short(entry.Key), e.shortRange(r))
				}
			}
			e.expectSnapshot(r, got)
		}
	}},
}

// expectFresh gets r from s while nobody writes, and requires all that was acknowledged, the last at rev.
func (e *env) expectFresh(s Store, r kv.Range, rev kv.Revision) {
	got, err := e.tryGet(s, r)
	e.must("get", err)
	if got.Revision < rev {
		e.Errorf("get %s saw revision %d, though revision %d was acknowledged before it began", e.shortRange(r), got.Revision, rev)
	}
	if diff := e.difference(seenEntries(e.ledger.entriesAt(r, rev)), seenEntries(got.Entries)); diff != "" {
		e.Errorf("get %s did not see what was acknowledged before it began:\n%s", e.shortRange(r), diff)
	}
}

// expectNoneOlder gets the check's keys while others put them, and requires each to be as new as it was known to
// be before.
func (e *env) expectNoneOlder() {
	last := e.ledger.last()
	known := e.ledger.entriesAt(e.all(), last)
	got := e.get(e.all())
	if got.Revision < last {
		e.Errorf("the get saw revision %d, though revision %d was acknowledged before it began", got.Revision, last)
	}
	found := make(map[string]kv.Revision)
	for _, entry := range got.Entries {
		found[entry.Key] = entry.ModRevision
	}
	for _, entry := range known {
		if found[entry.Key] < entry.ModRevision {
			e.Errorf("the get saw %s as of revision %d (0: not at all), though its put at %d was acknowledged before it began",
				e.short(entry.Key), found[entry.Key], entry.ModRevision)
		}
	}
}

// fill puts n keys, in no order, several at once.
func (e *env) fill(n int) {
	const writers = 8
	e.parallel(writers, func(w int) error {
		for i := w; i < n; i += writers {
			// 7919 is a prime, so this meets every key once.
			key := e.key(fmt.Sprintf("key-%05d", i*7919%n))
			if !e.backend.Commit {
				if _, err := e.tryPut(e.store, key, "v"); err != nil {
					return err
				}
				continue
			}
			var ops []kv.Op
			for ; i < n && len(ops) < 100; i += writers {
				ops = append(ops, kv.PutOp(e.key(fmt.Sprintf("key-%05d", i*7919%n)), []byte("v")))
			}
			i -= writers
			if _, err := e.tryCommit(e.store, ops...); err != nil {
				return err
			}
		}
		return nil
	})
}
