package stores

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// readChecks are the checks of S1 and S2: what a Get returns while others write.
var readChecks = []check{
	{"S1", "own-writes", "puts and deletes a key many times, and gets it after each write, alone and in ranges of every kind", 0, func(e *env) {
		key := e.Key("k")
		for i := range 50 {
			var rev kv.Revision
			if i%5 == 4 {
				rev = e.Delete(key)
			} else {
				rev = e.Put(key, fmt.Sprint(i))
			}
			e.expectFresh(e.Store, kv.Key(key), rev)
			if i >= 47 { // two puts and a deletion
				e.expectFresh(e.Store, e.All(), rev)
				e.expectFresh(e.Store, kv.Interval(key, key+"\xff"), rev)
				e.expectFresh(e.Store, kv.All(), rev)
			}
		}
	}},
	{"S1", "own-watches", "puts and deletes a key many times while watches of it run, one of which is read and one of which is not, and gets it after each write", 0, func(e *env) {
		for _, r := range []kv.Range{kv.Key(e.Key("k")), e.All()} {
			start := e.Get(r).Revision
			e.Watch(r, start)
			read := e.Watch(r, start)
			for i := range 10 {
				rev := e.Put(e.Key("k"), fmt.Sprint(i))
				if i%5 == 4 {
					rev = e.Delete(e.Key("k"))
				}
				e.expectFresh(e.Store, r, rev)
				read.Through(rev)
				e.expectFresh(e.Store, r, rev)
			}
		}
	}},
	{"S1", "writes-of-others", "writes through one store and gets through another store over the same data, in turns; before some of the writes, the other store attempts a put whose condition does not hold", suite.Again, func(e *env) {
		stores := []suite.Store{e.Store, e.Backend.Again(e, e.Store)}
		key := e.Key("k")
		e.Put(key, "first")
		for i := range 50 {
			writer, reader := stores[i%2], stores[1-i%2]
			if i%10 < 2 { // the reader knows how the key is
				e.expectFresh(reader, kv.Key(key), e.Ledger.Last())
				_, err := e.TryPut(reader, key, "no", kv.IfRevision(e.Ledger.Last()+1))
				e.expectError("a put whose condition does not hold", err, kv.ErrConflict)
			}
			rev, err := e.TryPut(writer, key, fmt.Sprint(i))
			e.Must("put", err)
			switch {
			case i%5 == 4:
				rev, err = e.TryDelete(writer, key)
				e.Must("delete", err)
			case i%5 == 2 && e.Backend.Commit:
				e.expectFresh(reader, e.All(), rev)
				rev, err = e.TryCommit(writer, kv.PutOp(key, []byte("in a commit")), kv.PutOp(e.Key("other"), nil))
				e.Must("commit", err)
			}
			e.expectFresh(reader, e.All(), rev)
			if i >= 46 { // twice for each store
				e.expectFresh(reader, kv.Interval(key, key+"\xff"), rev)
				e.expectFresh(reader, kv.All(), rev)
			}
		}
	}},
	{"S1", "created-by-others", "another store creates and deletes a key, many times, and each time the check's store gets the key", suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		key := e.Key("k")
		for i := range 20 {
			for _, write := range []func() (kv.Revision, error){
				func() (kv.Revision, error) { return e.TryPut(other, key, fmt.Sprint(i), kv.IfAbsent()) },
				func() (kv.Revision, error) { return e.TryDelete(other, key) },
			} {
				rev, err := write()
				e.Must("write", err)
				for _, r := range []kv.Range{kv.Key(key), e.All()} {
					e.expectFresh(e.Store, r, rev)
				}
			}
		}
	}},
	{"S1", "own-commits", "commits puts and deletions, and gets each key, and all keys, before and after each commit", suite.Commit, func(e *env) {
		keys := []string{e.Key("a"), e.Key("b"), e.Key("c")}
		for i := range 12 {
			var ops []kv.Op
			for n, key := range keys {
				if (i+n)%3 == 2 {
					ops = append(ops, kv.DeleteOp(key))
				} else {
					ops = append(ops, kv.PutOp(key, fmt.Append(nil, i)))
				}
			}
			rev := e.Commit(ops...)
			for _, key := range keys {
				e.expectFresh(e.Store, kv.Key(key), rev)
			}
			e.expectFresh(e.Store, e.All(), rev)
		}
	}},
	{"S1", "cut-off", "cuts the store off while another store writes: a get during the cut fails, and a get after the heal sees every write", suite.Cut | suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		key := e.Key("k")
		e.expectFresh(e.Store, kv.Key(key), e.Put(key, "before"))
		heal := e.Cut()
		rev, err := e.TryPut(other, key, "meanwhile")
		e.Must("put", err)
		ctx, cancel := context.WithTimeout(e.Context(), 50*time.Millisecond)
		defer cancel()
		if got, err := e.Store.Get(ctx, kv.Key(key)); err == nil {
			e.Errorf("a get during a cut returned %v at revision %d, but should fail", suite.SeenEntries(got.Entries), got.Revision)
		}
		heal()
		e.expectFresh(e.Store, kv.Key(key), rev)
	}},
	{"S1", "while-writing", "gets while four others put: each get sees every put that was acknowledged before it began, and is no older than the previous get", 0, func(e *env) {
		others := e.Writers(4)
		var last kv.Revision
		for range 25 {
			others.More()
			last = e.expectNoneOlder(e.Store, last)
		}
		others.Stop()
	}},
	{"S1", "readers-at-once", "gets one key from eight goroutines while another goroutine puts it: each get sees every put that was acknowledged before it began, and is no older than its goroutine's previous get; with Again, the gets alternate between two stores", 0, func(e *env) {
		readers := []suite.Store{e.Store}
		if e.Backend.Again != nil {
			readers = append(readers, e.Backend.Again(e, e.Store))
		}
		r := kv.Key(e.Key("k"))
		var acknowledged atomic.Int64
		var enough atomic.Bool
		var reading atomic.Int32
		reading.Store(8)
		got, over := make(chan struct{}, 1), make(chan struct{})
		wait := e.Background(8, func(n int) error {
			defer func() {
				if reading.Add(-1) == 0 {
					close(over)
				}
			}()
			var last kv.Revision
			for i := 0; !enough.Load(); i++ {
				before := max(last, kv.Revision(acknowledged.Load()))
				snapshot, err := e.TryGet(readers[(n+i)%len(readers)], r)
				if err != nil {
					return err
				}
				if last = snapshot.Revision; last < before {
					e.Errorf("get %s, one of several concurrent gets, returned revision %d, but revision %d was acknowledged or returned before it began",
						e.ShortRange(r), last, before)
					return nil
				}
				select {
				case got <- struct{}{}:
				default:
				}
			}
			return nil
		})
		e.Cleanup(func() { enough.Store(true) })
		for i := range 40 {
			select { // so that gets are running when a put is acknowledged
			case <-got:
			case <-over:
			}
			rev := e.Put(e.Key("k"), fmt.Sprint(i))
			acknowledged.Store(int64(rev))
			if i%2 == 1 { // otherwise each put could begin when the gets begin, and none while they run
				e.expectFresh(readers[i/2%len(readers)], r, rev)
			}
		}
		enough.Store(true)
		wait()
	}},
	{"S2", "one-revision", "gets many keys in a range while the first ones and the last ones are put in turns", 0, func(e *env) {
		e.fill(900)
		e.Must("write", e.putEnds(0))
		got := suite.ReadDuring(e.Env, 10, e.putEnds, func() kv.Snapshot { return e.Get(e.All()) })
		for _, snapshot := range got {
			e.ExpectSnapshot(e.All(), snapshot)
		}
	}},
	{"S2", "deletions", "deletes keys of a range, including the newest and the oldest, and gets the rest after each deletion", 0, func(e *env) {
		for i := range 6 {
			e.Put(e.Key(fmt.Sprint(i)), "v")
		}
		for _, i := range []int{5, 0, 3, 4} {
			e.Delete(e.Key(fmt.Sprint(i)))
			for _, r := range []kv.Range{e.All(), kv.Interval(e.Key("0"), e.Key("9")), kv.Key(e.Key("1"))} {
				e.ExpectSnapshot(r, e.Get(r))
			}
		}
	}},
	{"S2", "commits-whole", "gets a range while commits set many of its keys to one value: no get returns a part of a commit", suite.Commit, func(e *env) {
		e.fill(900)
		// Every key of a commit lies between keys that do not change.
		ops := func(i int) []kv.Op {
			var ops []kv.Op
			for n := range 30 {
				ops = append(ops, kv.PutOp(e.Key(fmt.Sprintf("key-%05d-together", n*30)), fmt.Append(nil, i)))
			}
			return ops
		}
		e.Commit(ops(0)...)
		commit := func(i int) error {
			_, err := e.TryCommit(e.Store, ops(i)...)
			return err
		}
		got := suite.ReadDuring(e.Env, 10, commit, func() kv.Snapshot { return e.Get(e.All()) })
		for _, snapshot := range got {
			values := make(map[string]bool)
			for _, entry := range snapshot.Entries {
				if strings.HasSuffix(entry.Key, "-together") {
					values[string(entry.Value)] = true
				}
			}
			if len(values) != 1 {
				e.Errorf("a get returned a part of a commit: keys that always have one common value have %d values at revision %d", len(values), snapshot.Revision)
			}
			e.ExpectSnapshot(e.All(), snapshot)
		}
	}},
	{"S2", "many-sorted", "gets thousands of keys that were put in no order, some of them of unusual bytes", 0, func(e *env) {
		n := 3000
		if e.Backend.Commit { // which puts many keys with few writes
			n = 5100
		}
		e.fill(n)
		long := strings.Repeat("k", 300)
		for _, odd := range []string{"key-\x00", "key-\xff", "key-00010\x00", "key-00010\xff", "key-00010/", "key-0001", "KEY", "\xff", "\x00", "\ufb01", "\U0001f600", long + "b", long + "a"} {
			e.Put(e.Key(odd), "odd")
		}
		last := e.Ledger.Last()
		for _, r := range []kv.Range{e.All(), kv.Interval(e.Key(""), e.Key("\xff\xff")), kv.All()} {
			got := e.Get(r)
			if !slices.IsSortedFunc(got.Entries, func(a, b kv.Entry) int { return strings.Compare(a.Key, b.Key) }) {
				e.Errorf("%d entries are not sorted by the bytes of their keys", len(got.Entries))
			}
			e.ExpectSnapshot(r, got)
			if got.Revision < last {
				e.Errorf("the snapshot is of revision %d, but revision %d was acknowledged before the get began", got.Revision, last)
			}
		}
	}},
	{"S2", "large-entries", "gets a range that holds three megabytes, and a part of it", 0, func(e *env) {
		for i := range 3 {
			e.Put(e.Key(fmt.Sprint(i)), strings.Repeat(fmt.Sprint(i), 1<<20))
		}
		e.Put(e.Key("last"), "v")
		for _, r := range []kv.Range{e.All(), kv.Interval(e.Key("1"), e.Key("z"))} {
			e.ExpectSnapshot(r, e.Get(r))
		}
	}},
	{"S2", "concurrent-gets", "gets different ranges from eight goroutines, and ends the contexts of some of the gets while they run: each get returns the entries of its own range, or the error of its own context", 0, func(e *env) {
		for n := range 8 {
			e.Put(e.Key(fmt.Sprint(n)), fmt.Sprint("value ", n))
		}
		e.Parallel(8, func(n int) error {
			for i := range 60 {
				r := kv.Key(e.Key(fmt.Sprint((n + i) % 8)))
				ctx, cancel := e.Bounded()
				givenUp := i%3 == 1
				if givenUp {
					time.AfterFunc(time.Duration(i)*time.Microsecond, cancel)
				}
				got, err := e.Store.Get(ctx, r)
				cancel()
				switch {
				case err == nil && len(got.Entries) == 1 && !r.Contains(got.Entries[0].Key):
					e.Errorf("get %s returned the entry of %s, which is the answer to another get that ran at the same time, or was cancelled: each answer "+
						"belongs to one call", e.ShortRange(r), e.Short(got.Entries[0].Key))
				case err == nil:
					e.ExpectSnapshot(r, got)
				case !givenUp:
					return fmt.Errorf("get %s, whose context had not ended, while other gets ran: %w", e.ShortRange(r), err)
				default:
					e.expectContextError("a get that was cancelled", err, context.Canceled)
				}
			}
			return nil
		})
	}},
	{"S2", "cut-off-while-reading", "cuts the store off while eight goroutines get a large range, several times: a get that succeeds has returned all of it", suite.Cut, func(e *env) {
		for i := range 16 {
			e.Put(e.Key(fmt.Sprint(i)), strings.Repeat("v", 16<<10))
		}
		for range interruptions {
			e.cutOffReaders()
		}
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"S2", "every-number-of-keys", "gets intervals whose numbers of keys are one less than the size of a page, equal to it, and one more; some keys begin with the key before them", 0, func(e *env) {
		e.fillNested(1050)
		all := e.Get(e.All())
		if diff := e.EntriesDiffer(e.Ledger.EntriesAt(e.All(), all.Revision), all.Entries); diff != "" {
			e.Fatalf("the entries of %s at revision %d are not those that were written up to that revision:\n%s", e.ShortRange(e.All()), all.Revision, diff)
		}
		for _, n := range pageSizes() {
			first := n % 2
			want := all.Entries[first : first+n]
			r := kv.Interval(want[0].Key, all.Entries[first+n].Key)
			got := e.Get(r)
			if same := func(a, b kv.Entry) bool { return a.Key == b.Key }; !slices.EqualFunc(want, got.Entries, same) {
				e.Fatalf("get %s, which has %d keys, returned %d:\n%s", e.ShortRange(r), n, len(got.Entries),
					e.EntriesDiffer(want, got.Entries))
			}
		}
	}},
	{"S2", "only-the-range", "gets ranges of every kind, with keys at and next to their bounds", 0, func(e *env) {
		e.putEdges()
		for _, r := range edgeRanges(e.Prefix) {
			got := e.Get(r)
			for _, entry := range got.Entries {
				if !r.Contains(entry.Key) {
					e.Errorf("%s is not in %s, but was returned", e.Short(entry.Key), e.ShortRange(r))
				}
			}
			e.ExpectSnapshot(r, got)
		}
	}},
}

// expectFresh gets r from s while no one else writes, and requires the entries as of rev, the revision that was acknowledged last.
func (e *env) expectFresh(s suite.Store, r kv.Range, rev kv.Revision) {
	got, err := e.TryGet(s, r)
	e.Must("get", err)
	if got.Revision < rev {
		e.Errorf("get %s returned revision %d, but revision %d was acknowledged before it began", e.ShortRange(r), got.Revision, rev)
	}
	if diff := e.EntriesDiffer(e.Ledger.EntriesAt(r, rev), e.Own(r, got.Entries)); diff != "" {
		e.Errorf("get %s did not see what was acknowledged before it began:\n%s", e.ShortRange(r), diff)
	}
}

// expectNoneOlder gets the check's keys while others put them. It requires that no entry is older than the newest acknowledged put of its
// key, and that the revision of the get is not lower than seen. It returns that revision.
func (e *env) expectNoneOlder(s suite.Store, seen kv.Revision) kv.Revision {
	last := e.Ledger.Last()
	known := e.Ledger.EntriesAt(e.All(), last)
	got, err := e.TryGet(s, e.All())
	e.Must("get", err)
	if got.Revision < seen {
		e.Errorf("the get returned revision %d, but the previous get had returned revision %d", got.Revision, seen)
	}
	if got.Revision < last {
		e.Errorf("the get returned revision %d, but revision %d was acknowledged before it began", got.Revision, last)
	}
	found := make(map[string]kv.Revision)
	for _, entry := range got.Entries {
		found[entry.Key] = entry.ModRevision
	}
	for _, entry := range known {
		if found[entry.Key] < entry.ModRevision {
			e.Errorf("the get returned %s as of revision %d (0: not at all), but a put of it at revision %d was acknowledged before the get began",
				e.Short(entry.Key), found[entry.Key], entry.ModRevision)
		}
	}
	return got.Revision
}

// cutOffReaders cuts the store off while eight goroutines get all keys, and heals the cut. It requires that the gets which succeed are right.
func (e *env) cutOffReaders() {
	ctx, cancel := context.WithCancel(e.Context())
	defer cancel()
	var gets atomic.Int64
	underWay := make(chan struct{}, 16)
	wait := e.Background(8, func(int) error {
		for {
			got, err := e.Store.Get(ctx, e.All())
			if gets.Add(1); err != nil {
				return nil
			}
			if diff := e.EntriesDiffer(e.Ledger.EntriesAt(e.All(), got.Revision), got.Entries); diff != "" {
				e.Errorf("a get that ran when the store was cut off succeeded, but has not returned the whole range. An answer that breaks off is an "+
					"error, also where a driver reports it only at the end:\n%s", diff)
			}
			select {
			case underWay <- struct{}{}:
			default:
			}
		}
	})
	for range cap(underWay) {
		if !e.Await(underWay) {
			e.Fatalf("the gets make no progress")
		}
	}
	heal := e.Cut()
	e.untilStill(&gets)
	cancel()
	wait()
	heal()
}

// fill puts n keys concurrently, in no order.
func (e *env) fill(n int) { e.fillWith(n, func(i int) string { return fmt.Sprintf("key-%05d", i) }) }

// pageSizes returns numbers of keys that are likely to be the size of a page, and one less and one more.
func pageSizes() (sizes []int) {
	for n := 1; n <= 66; n++ {
		sizes = append(sizes, n)
	}
	for _, size := range []int{100, 128, 200, 256, 500, 512, 1000, 1024} {
		sizes = append(sizes, size-1, size, size+1)
	}
	return sizes
}

// fillNested puts n keys. Some of them begin with the key before them. With any usual size of pages, some pages end at such a key and others
// do not.
func (e *env) fillNested(n int) {
	e.fillWith(n, func(i int) string {
		if i%9 == 1 || i%9 == 5 {
			return fmt.Sprintf("key-%05d\x00", i-1)
		}
		return fmt.Sprintf("key-%05d", i)
	})
}

// fillWith puts n keys concurrently, in no order. name returns the name of each key.
func (e *env) fillWith(n int, name func(i int) string) {
	const writers = 8
	e.Parallel(writers, func(w int) error {
		for i := w; i < n; i += writers {
			// 7919 is a prime, so this meets every key once.
			key := e.Key(name(i * 7919 % n))
			if !e.Backend.Commit {
				if _, err := e.TryPut(e.Store, key, "v"); err != nil {
					return err
				}
				continue
			}
			var ops []kv.Op
			for ; i < n && len(ops) < 100; i += writers {
				ops = append(ops, kv.PutOp(e.Key(name(i*7919%n)), []byte("v")))
			}
			i -= writers
			if _, err := e.TryCommit(e.Store, ops...); err != nil {
				return err
			}
		}
		return nil
	})
}
