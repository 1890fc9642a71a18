package stores

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// writerChecks are the checks of kv.Writer and kv.Committer.
var writerChecks = []check{
	{"Writer", "revisions", "puts and deletes: each returns a higher revision, and the entry and its event carry that revision", 0, func(e *env) {
		last := e.Get(e.All()).Revision
		w := e.Watch(e.All(), last)
		for i := range 20 {
			key := e.Key(fmt.Sprint(i % 3))
			rev := e.Put(key, fmt.Sprint(i))
			if rev <= last {
				e.Errorf("a put returned revision %d, but the write before it returned revision %d", rev, last)
			}
			last = rev
			if i%4 == 3 {
				rev = e.Delete(key)
				if rev <= last {
					e.Errorf("a delete returned revision %d, but the write before it returned revision %d", rev, last)
				}
				last = rev
			}
			e.ExpectSnapshot(e.All(), e.Get(e.All()))
		}
		w.Through(e.Put(e.Key("last"), "v")).ExpectAll()
	}},
	{"Writer", "delete-missing", "deletes keys that never existed or were deleted: this succeeds and makes no revision and no event", 0, func(e *env) {
		start := e.Put(e.Key("k"), "v")
		w := e.Watch(e.All(), start)
		for range 3 {
			if rev := e.Delete(e.Key("missing")); rev != start {
				e.Errorf("deleting a missing key returned revision %d, but should return the current revision, %d", rev, start)
			}
		}
		e.Delete(e.Key("missing"), kv.IfAbsent())
		e.expectUnchanged(start)
		e.Put(e.Key("gone"), "v")
		e.Delete(e.Key("gone"))
		now := e.Put(e.Key("k"), "v")
		for range 2 {
			if rev := e.Delete(e.Key("gone")); rev != now {
				e.Errorf("deleting a key that was deleted before returned revision %d, but should return the current revision, %d", rev, now)
			}
		}
		e.expectUnchanged(now)
		w.Through(e.Put(e.Key("last"), "v")).ExpectAll()
	}},
	{"Writer", "conditions", "puts and deletes on conditions that hold and that do not: a write whose condition does not hold changes nothing", 0, func(e *env) {
		live, gone, never := e.Key("live"), e.Key("gone"), e.Key("never")
		for _, try := range []struct {
			key   string
			about func(first, second, deleted kv.Revision) []kv.Condition
			holds bool
		}{
			{live, func(_, second, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(second)} }, true},
			{live, func(first, _, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(first)} }, false},
			{live, func(_, second, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(second + 1)} }, false},
			{live, func(_, _, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(-1)} }, false},
			{live, func(_, _, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfAbsent()} }, false},
			{live, func(_, _, _ kv.Revision) []kv.Condition { return []kv.Condition{{}} }, true},
			{live, func(_, second, _ kv.Revision) []kv.Condition {
				return []kv.Condition{kv.IfRevision(second), kv.IfAbsent()}
			}, false},
			{live, func(first, second, _ kv.Revision) []kv.Condition {
				return []kv.Condition{kv.IfRevision(first), kv.IfRevision(second)}
			}, false},
			{live, func(_, second, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(second + 1<<32)} }, false},
			{gone, func(_, _, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfAbsent()} }, true},
			{gone, func(first, _, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(first)} }, false},
			{gone, func(_, _, deleted kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(deleted)} }, false},
			{never, func(_, _, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfAbsent()} }, true},
			{never, func(_, _, _ kv.Revision) []kv.Condition { return []kv.Condition{{}} }, true},
			{never, func(first, _, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(first)} }, false},
			{never, func(_, _, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(1 << 32)} }, false},
		} {
			for _, remove := range []bool{false, true} {
				e.Delete(never)
				first := e.Put(live, "1")
				second := e.Put(live, "2")
				e.Put(gone, "1")
				before := e.Delete(gone)
				conditions := try.about(first, second, before)
				var rev kv.Revision
				var err error
				if remove {
					rev, err = e.TryDelete(e.Store, try.key, conditions...)
				} else {
					rev, err = e.TryPut(e.Store, try.key, "3", conditions...)
				}
				if !try.holds {
					e.expectError(fmt.Sprintf("a write of %s%s", e.Short(try.key), suite.Conditions(conditions)), err, kv.ErrConflict)
					e.expectUnchanged(before)
					continue
				}
				e.Must("a write whose condition holds", err)
				if changes := !remove || try.key == live; changes != (rev > before) {
					e.Errorf("the write returned revision %d. Before it, the store was at revision %d", rev, before)
				}
				e.ExpectSnapshot(e.All(), e.Get(e.All()))
			}
		}
	}},
	{"Writer", "conditions-and-empty-values", "writes an empty value on conditions, and deletes the key and makes it again: the key exists, another put of the empty value is a change, and a revision from before the deletion is not that of the key", 0, func(e *env) {
		key := e.Key("k")
		created := e.Put(key, "", kv.IfAbsent())
		for _, write := range []func() (kv.Revision, error){
			func() (kv.Revision, error) { return e.TryPut(e.Store, key, "", kv.IfAbsent()) },
			func() (kv.Revision, error) { return e.TryDelete(e.Store, key, kv.IfAbsent()) },
			func() (kv.Revision, error) { return e.TryPut(e.Store, key, "", kv.IfRevision(created-1)) },
		} {
			_, err := write()
			e.expectError("a write whose condition does not hold", err, kv.ErrConflict)
			e.expectUnchanged(created)
		}
		if e.Backend.Commit {
			_, err := e.TryCommit(e.Store, kv.PutOp(key, nil, kv.IfAbsent()))
			e.expectError("a commit whose condition does not hold", err, kv.ErrConflict)
			e.expectUnchanged(created)
		}
		w := e.Watch(e.All(), created)
		again := e.Put(key, "", kv.IfRevision(created))
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		e.Delete(key, kv.IfRevision(again))
		recreated := e.Put(key, "", kv.IfAbsent())
		w.Through(recreated).ExpectAll()
		_, err := e.TryPut(e.Store, key, "", kv.IfRevision(created)) // the version that the key has again, and the value
		e.expectError("a put on the revision that the key had before its deletion", err, kv.ErrConflict)
		e.expectUnchanged(recreated)
	}},
	{"Writer", "reads-make-no-revision", "gets ranges of every kind, stats, and begins and ends watches: the store is at the same revision as before", 0, func(e *env) {
		now := e.Put(e.Key("k"), "v")
		for _, r := range []kv.Range{kv.Key(e.Key("k")), kv.Key(e.Key("none")), e.All(), kv.Interval(e.Key("a"), e.Key("z"))} {
			e.Get(r)
			if s, ok := e.Store.(kv.Stater); ok {
				e.stat(s, r)
			}
			w := e.Watch(r, now-1)
			if r.Contains(e.Key("k")) {
				w.Through(now)
			}
			w.Stop()
			e.expectUnchanged(now)
		}
	}},
	{"Writer", "compare-and-swap", "five writers increment a counter in one key, by puts on the revision that they have read: no increment is lost", 0, func(e *env) {
		e.count(5, 8, e.Store)
	}},
	{"Writer", "two-stores", "puts one key and increments a counter in another, concurrently through two stores over the same data: no write is lost, and no two writes have the same revision", suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		w := e.Watch(e.All(), e.Get(e.All()).Revision)
		e.Parallel(4, func(n int) error {
			s := []suite.Store{e.Store, other}[n%2]
			for i := range 10 {
				if _, err := e.TryPut(s, e.Key("same"), fmt.Sprint(n, " ", i)); err != nil {
					return err
				}
			}
			return nil
		})
		e.count(4, 8, e.Store, other)
		w.Through(e.Put(e.Key("last"), "v")).ExpectAll()
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"Writer", "create-once", "eight writers create one key concurrently, on the condition that it is absent: exactly one succeeds", 0, func(e *env) {
		for i := range 5 {
			key := e.Key(fmt.Sprint(i))
			e.onlyOne("create the same key", func(n int) error {
				_, err := e.TryPut(e.Store, key, fmt.Sprint(n), kv.IfAbsent())
				return err
			})
		}
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"Writer", "delete-once", "eight writers delete one key concurrently, on the condition of its revision: exactly one succeeds", 0, func(e *env) {
		for i := range 10 {
			key := e.Key(fmt.Sprint(i % 2))
			rev := e.Put(key, fmt.Sprint(i))
			e.onlyOne("delete the same revision", func(int) error {
				_, err := e.TryDelete(e.Store, key, kv.IfRevision(rev))
				return err
			})
		}
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"Writer", "several-at-once", "eight writers put concurrently: each put returns the revision that its entry and its event have", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		e.Parallel(8, func(n int) error {
			for i := range 20 {
				if _, err := e.TryPut(e.Store, e.Key(fmt.Sprint(n)), fmt.Sprint(i)); err != nil {
					return err
				}
			}
			return nil
		})
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		w.Through(e.Put(e.Key("last"), "v")).ExpectAll()
	}},
	{"Writer", "commit-conditions", "commits on conditions that hold and that do not, one or several per operation: a commit with a condition that does not hold changes nothing", suite.Commit, func(e *env) {
		live, gone := e.Key("live"), e.Key("gone")
		created := e.Put(live, "1")
		e.Put(gone, "1")
		deleted := e.Delete(gone)
		now := e.Put(live, "2")
		for _, try := range []struct {
			key        string
			conditions []kv.Condition
		}{
			{live, []kv.Condition{kv.IfRevision(created)}},
			{live, []kv.Condition{kv.IfRevision(now + 1)}},
			{live, []kv.Condition{kv.IfRevision(now), kv.IfAbsent()}},
			{live, []kv.Condition{kv.IfRevision(created), kv.IfRevision(now)}},
			{live, []kv.Condition{{}, kv.IfRevision(created)}},
			{gone, []kv.Condition{kv.IfRevision(deleted)}},
			{gone, []kv.Condition{kv.IfAbsent(), kv.IfRevision(deleted)}},
		} {
			for _, op := range []kv.Op{kv.PutOp(try.key, []byte("no"), try.conditions...), kv.DeleteOp(try.key, try.conditions...)} {
				_, err := e.TryCommit(e.Store, kv.PutOp(e.Key("with it"), nil), op)
				e.expectError(fmt.Sprintf("a commit with a write of %s%s", e.Short(op.Key), suite.Conditions(op.Conditions)), err, kv.ErrConflict)
				e.expectUnchanged(now)
			}
		}
		now = e.Commit(kv.PutOp(live, []byte("3"), kv.Condition{}, kv.IfRevision(now)), kv.PutOp(gone, []byte("2"), kv.IfAbsent(), kv.Condition{}))
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		e.Commit(kv.DeleteOp(live, kv.Condition{}), kv.DeleteOp(gone, kv.IfRevision(now), kv.IfRevision(now)), kv.PutOp(e.Key("new"), nil, kv.Condition{}))
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"Writer", "commit-once", "eight writers commit concurrently, on the condition that a key is absent or at a revision: exactly one succeeds", suite.Commit, func(e *env) {
		guard := e.Key("guard")
		rev := kv.Revision(0) // IfRevision(0) requires that the key is absent
		for range 10 {
			e.onlyOne("commit on the same condition", func(n int) error {
				_, err := e.TryCommit(e.Store, kv.PutOp(e.Key(fmt.Sprint(n)), nil), kv.PutOp(guard, fmt.Append(nil, n), kv.IfRevision(rev)))
				return err
			})
			rev = e.Ledger.Last()
		}
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"Writer", "commit-in-any-order", "four writers concurrently commit the same two keys, half of them in the other order: each commit succeeds", suite.Commit, func(e *env) {
		e.Parallel(4, func(n int) error {
			for i := range 6 {
				ops := []kv.Op{kv.PutOp(e.Key("a"), fmt.Append(nil, n, i)), kv.PutOp(e.Key("b"), fmt.Append(nil, n, i))}
				if n%2 == 1 {
					slices.Reverse(ops)
				}
				if _, err := e.TryCommit(e.Store, ops...); err != nil {
					return fmt.Errorf("a commit of two keys, which others commit in the other order: %w. A store that locks the keys of a commit one by "+
						"one has to lock them in the same order each time", err)
				}
			}
			return nil
		})
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"Writer", "commit-one-revision", "commits puts and deletions of several keys: the commit is one revision, and its events are one batch", suite.Commit, func(e *env) {
		e.Put(e.Key("a"), "old")
		start := e.Put(e.Key("b"), "old")
		w := e.Watch(e.All(), start)
		rev := e.Commit(kv.PutOp(e.Key("a"), []byte("new")), kv.DeleteOp(e.Key("b")), kv.PutOp(e.Key("c"), nil), kv.DeleteOp(e.Key("missing")))
		if rev <= start {
			e.Errorf("a commit returned revision %d, but the write before it returned revision %d", rev, start)
		}
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		w.Through(rev).ExpectAll()
		whole(e, w)
	}},
	{"Writer", "commit-all-or-none", "commits several operations, one of which has a condition that does not hold: nothing is written", suite.Commit, func(e *env) {
		old := e.Put(e.Key("a"), "old")
		start := e.Put(e.Key("b"), "old")
		w := e.Watch(e.All(), start)
		for _, ops := range [][]kv.Op{
			{kv.PutOp(e.Key("a"), []byte("new"), kv.IfRevision(old)), kv.PutOp(e.Key("b"), []byte("new"), kv.IfRevision(old))},
			{kv.PutOp(e.Key("c"), []byte("new")), kv.DeleteOp(e.Key("b"), kv.IfAbsent())},
			{kv.DeleteOp(e.Key("a")), kv.PutOp(e.Key("b"), nil, kv.IfAbsent())},
			{kv.DeleteOp(e.Key("missing"), kv.IfRevision(old)), kv.PutOp(e.Key("c"), nil)},
		} {
			_, err := e.TryCommit(e.Store, ops...)
			e.expectError("a commit whose condition does not hold", err, kv.ErrConflict)
			e.expectUnchanged(start)
		}
		e.Commit(kv.PutOp(e.Key("a"), []byte("new"), kv.IfRevision(old)), kv.DeleteOp(e.Key("b"), kv.IfRevision(start)), kv.PutOp(e.Key("c"), nil, kv.IfAbsent()))
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		w.Through(e.Put(e.Key("last"), "v")).ExpectAll()
	}},
	{"Writer", "commit-many-keys", "commits eleven hundred keys, or fewer where the store returns ErrTooLarge, and then puts some of them and deletes the others: each commit is one revision and one batch, and a commit that fails has written nothing", suite.Commit, func(e *env) {
		start := e.Put(e.Key("k"), "v")
		live := e.Watch(e.All(), start)
		last := start
		for _, keys := range []int{1100, 1000, 500, 250, 128, 100} {
			var puts, changes []kv.Op
			for i := range keys {
				key := e.Key(fmt.Sprintf("%04d", i))
				puts, changes = append(puts, kv.PutOp(key, fmt.Append(nil, i))), append(changes, kv.DeleteOp(key))
				if i%3 != 0 {
					changes[i] = kv.PutOp(key, nil)
				}
			}
			rev, err := e.TryCommit(e.Store, puts...)
			if err != nil && keys > 100 {
				e.expectError(fmt.Sprintf("a commit of %d keys", keys), err, kv.ErrTooLarge)
				e.expectUnchanged(start)
				continue
			}
			e.Must(fmt.Sprintf("a commit of %d keys", keys), err)
			got := e.Get(e.All())
			for _, entry := range got.Entries {
				if entry.Key != e.Key("k") && entry.ModRevision != rev {
					e.Fatalf("a commit of %d keys returned revision %d, but put %s at revision %d: a commit is one revision. If it is too large "+
						"for that, it should fail with kv.ErrTooLarge", keys, rev, e.Short(entry.Key), entry.ModRevision)
				}
			}
			e.ExpectSnapshot(e.All(), got)
			last = e.Commit(changes...)
			e.ExpectSnapshot(e.All(), e.Get(e.All()))
			break
		}
		for _, w := range []*suite.Watching{live.Through(last), e.Watch(e.All(), start).Through(last)} {
			w.ExpectAll()
			whole(e, w)
		}
	}},
	{"Writer", "commit-of-nothing", "commits no operations, and deletions of missing keys: these commits make no revision and no event", suite.Commit, func(e *env) {
		start := e.Put(e.Key("k"), "v")
		w := e.Watch(e.All(), start)
		for _, ops := range [][]kv.Op{
			nil, {kv.DeleteOp(e.Key("missing"))}, {kv.DeleteOp(e.Key("missing")), kv.DeleteOp(e.Key("missing too"), kv.IfAbsent())},
		} {
			if rev := e.Commit(ops...); rev != start {
				e.Errorf("a commit that changes nothing returned revision %d, but should return the current revision, %d", rev, start)
			}
			e.expectUnchanged(start)
		}
		w.Through(e.Put(e.Key("last"), "v")).ExpectAll()
	}},
}

// count makes several writers concurrently increment a counter in one key. Each makes so many increments, through one of the stores. It
// requires that no increment is lost.
func (e *env) count(writers, each int, stores ...suite.Store) {
	key := e.Key("counter")
	e.Put(key, "0")
	var conflicts atomic.Int64
	e.Parallel(writers, func(n int) error {
		s := stores[n%len(stores)]
		for done := 0; done < each; {
			got, err := e.TryGet(s, kv.Key(key))
			if err != nil {
				return err
			}
			if len(got.Entries) != 1 {
				return fmt.Errorf("the counter is missing: %+v", got)
			}
			n, err := strconv.Atoi(string(got.Entries[0].Value))
			if err != nil {
				return err
			}
			_, err = e.TryPut(s, key, strconv.Itoa(n+1), kv.IfRevision(got.Entries[0].ModRevision))
			switch {
			case err == nil:
				done++
			case errors.Is(err, kv.ErrConflict):
				conflicts.Add(1)
			default:
				return err
			}
		}
		return nil
	})
	e.Logf("%d conflicts", conflicts.Load())
	got := e.Get(kv.Key(key))
	if len(got.Entries) != 1 || string(got.Entries[0].Value) != strconv.Itoa(writers*each) {
		e.Errorf("after %d increments, the counter is %v", writers*each, suite.SeenEntries(got.Entries))
	}
	e.ExpectSnapshot(kv.Key(key), got)
}

// onlyOne makes eight writers call write concurrently, all on the same condition. The first write makes the condition false. It requires that
// one write succeeds and that the others fail with ErrConflict.
func (e *env) onlyOne(what string, write func(n int) error) {
	errs := make([]error, 8)
	e.Parallel(len(errs), func(n int) error {
		errs[n] = write(n)
		return nil
	})
	succeeded := 0
	for _, err := range errs {
		if err == nil {
			succeeded++
		} else {
			e.expectError("a write whose condition another write has made false", err, kv.ErrConflict)
		}
	}
	if succeeded != 1 {
		e.Errorf("%d of %d concurrent writers could %s, but exactly one should", succeeded, len(errs), what)
	}
}
