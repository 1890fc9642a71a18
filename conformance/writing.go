package conformance

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// writerChecks are those of kv.Writer and kv.Committer.
var writerChecks = []check{
	{"Writer", "revisions", "puts and deletes: each returns a higher revision, which is the one the entry and its event carry", 0, func(e *env) {
		last := e.get(e.all()).Revision
		w := e.watch(e.all(), last)
		for i := range 20 {
			key := e.key(fmt.Sprint(i % 3))
			rev := e.put(key, fmt.Sprint(i))
			if rev <= last {
				e.Errorf("a put returned revision %d, after %d", rev, last)
			}
			last = rev
			if i%4 == 3 {
				rev = e.delete(key)
				if rev <= last {
					e.Errorf("a delete returned revision %d, after %d", rev, last)
				}
				last = rev
			}
			e.expectSnapshot(e.all(), e.get(e.all()))
		}
		w.through(e.put(e.key("last"), "v")).expectAll()
	}},
	{"Writer", "delete-missing", "deletes keys that do not exist: that succeeds, makes no revision and no event", 0, func(e *env) {
		start := e.put(e.key("k"), "v")
		w := e.watch(e.all(), start)
		for range 3 {
			if rev := e.delete(e.key("missing")); rev != start {
				e.Errorf("deleting a missing key returned revision %d, not the current one, %d", rev, start)
			}
		}
		e.delete(e.key("missing"), kv.IfAbsent())
		e.expectUnchanged(start)
		w.through(e.put(e.key("last"), "v")).expectAll()
	}},
	{"Writer", "conditions", "puts and deletes on conditions that hold and that do not: what does not hold changes nothing", 0, func(e *env) {
		live, gone, never := e.key("live"), e.key("gone"), e.key("never")
		for _, try := range []struct {
			key   string
			about func(first, second kv.Revision) []kv.Condition
			holds bool
		}{
			{live, func(_, second kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(second)} }, true},
			{live, func(first, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(first)} }, false},
			{live, func(_, second kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(second + 1)} }, false},
			{live, func(_, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfAbsent()} }, false},
			{live, func(_, _ kv.Revision) []kv.Condition { return []kv.Condition{{}} }, true},
			{live, func(_, second kv.Revision) []kv.Condition {
				return []kv.Condition{kv.IfRevision(second), kv.IfAbsent()}
			}, false},
			{gone, func(_, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfAbsent()} }, true},
			{gone, func(first, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(first)} }, false},
			{never, func(_, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfAbsent()} }, true},
			{never, func(first, _ kv.Revision) []kv.Condition { return []kv.Condition{kv.IfRevision(first)} }, false},
		} {
			for _, remove := range []bool{false, true} {
				e.delete(never)
				first := e.put(live, "1")
				second := e.put(live, "2")
				e.put(gone, "1")
				before := e.delete(gone)
				conditions := try.about(first, second)
				var rev kv.Revision
				var err error
				if remove {
					rev, err = e.tryDelete(e.store, try.key, conditions...)
				} else {
					rev, err = e.tryPut(e.store, try.key, "3", conditions...)
				}
				if !try.holds {
					e.expectError("a write whose condition does not hold", err, kv.ErrConflict)
					e.expectUnchanged(before)
					continue
				}
				e.must("a write whose condition holds", err)
				if changes := !remove || try.key == live; changes != (rev > before) {
					e.Errorf("the write returned revision %d, and before the store was at %d", rev, before)
				}
				e.expectSnapshot(e.all(), e.get(e.all()))
			}
		}
	}},
	{"Writer", "compare-and-swap", "counts in one key, five at once, each putting only if nobody else has: none is lost", 0, func(e *env) {
		key := e.key("counter")
		e.put(key, "0")
		const writers, each = 5, 8
		var mu sync.Mutex
		conflicts := 0
		e.parallel(writers, func(int) error {
			for done := 0; done < each; {
				got, err := e.tryGet(e.store, kv.Key(key))
				if err != nil {
					return err
				}
				if len(got.Entries) != 1 {
					return fmt.Errorf("the counter is gone: %+v", got)
				}
				n, err := strconv.Atoi(string(got.Entries[0].Value))
				if err != nil {
					return err
				}
				_, err = e.tryPut(e.store, key, strconv.Itoa(n+1), kv.IfRevision(got.Entries[0].ModRevision))
				switch {
				case err == nil:
					done++
				case errors.Is(err, kv.ErrConflict):
					mu.Lock()
					conflicts++
					mu.Unlock()
				default:
					return err
				}
			}
			return nil
		})
		e.Logf("%d conflicts", conflicts)
		got := e.get(kv.Key(key))
		if len(got.Entries) != 1 || string(got.Entries[0].Value) != strconv.Itoa(writers*each) {
			e.Errorf("%d increments gave %v", writers*each, seenEntries(got.Entries))
		}
		e.expectSnapshot(e.all(), got)
	}},
	{"Writer", "create-once", "creates one key on the condition that it is absent, eight at once: one succeeds", 0, func(e *env) {
		for i := range 5 {
			key := e.key(fmt.Sprint(i))
			errs := make([]error, 8)
			e.parallel(len(errs), func(n int) error {
				_, errs[n] = e.tryPut(e.store, key, fmt.Sprint(n), kv.IfAbsent())
				return nil
			})
			created := 0
			for _, err := range errs {
				if err == nil {
					created++
				} else {
					e.expectError("creating a key that another creates", err, kv.ErrConflict)
				}
			}
			if created != 1 {
				e.Errorf("%d of %d created the same key", created, len(errs))
			}
		}
		e.expectSnapshot(e.all(), e.get(e.all()))
	}},
	{"Writer", "commit-one-revision", "commits puts and deletions of several keys: one revision, and one batch with all the events", commit, func(e *env) {
		e.put(e.key("a"), "old")
		start := e.put(e.key("b"), "old")
		w := e.watch(e.all(), start)
		rev := e.commit(kv.PutOp(e.key("a"), []byte("new")), kv.DeleteOp(e.key("b")), kv.PutOp(e.key("c"), nil), kv.DeleteOp(e.key("missing")))
		if rev <= start {
			e.Errorf("a commit returned revision %d, after %d", rev, start)
		}
		e.expectSnapshot(e.all(), e.get(e.all()))
		w.through(rev).expectAll()
		whole(e, w)
	}},
	{"Writer", "commit-all-or-none", "commits with one condition among others that does not hold: nothing of it happens", commit, func(e *env) {
		old := e.put(e.key("a"), "old")
		start := e.put(e.key("b"), "old")
		w := e.watch(e.all(), start)
		for _, ops := range [][]kv.Op{
			{kv.PutOp(e.key("a"), []byte("new"), kv.IfRevision(old)), kv.PutOp(e.key("b"), []byte("new"), kv.IfRevision(old))},
			{kv.PutOp(e.key("c"), []byte("new")), kv.DeleteOp(e.key("b"), kv.IfAbsent())},
			{kv.DeleteOp(e.key("a")), kv.PutOp(e.key("b"), nil, kv.IfAbsent())},
			{kv.DeleteOp(e.key("missing"), kv.IfRevision(old)), kv.PutOp(e.key("c"), nil)},
		} {
			_, err := e.tryCommit(e.store, ops...)
			e.expectError("a commit whose condition does not hold", err, kv.ErrConflict)
			e.expectUnchanged(start)
		}
		e.commit(kv.PutOp(e.key("a"), []byte("new"), kv.IfRevision(old)), kv.DeleteOp(e.key("b"), kv.IfRevision(start)), kv.PutOp(e.key("c"), nil, kv.IfAbsent()))
		e.expectSnapshot(e.all(), e.get(e.all()))
		w.through(e.put(e.key("last"), "v")).expectAll()
	}},
	{"Writer", "commit-of-nothing", "commits no operations, and deletions of missing keys: no revision, no event", commit, func(e *env) {
		start := e.put(e.key("k"), "v")
		w := e.watch(e.all(), start)
		for _, ops := range [][]kv.Op{
			nil, {kv.DeleteOp(e.key("missing"))}, {kv.DeleteOp(e.key("missing")), kv.DeleteOp(e.key("missing too"), kv.IfAbsent())},
		} {
			if rev := e.commit(ops...); rev != start {
				e.Errorf("a commit that changes nothing returned revision %d, not the current one, %d", rev, start)
			}
			e.expectUnchanged(start)
		}
		w.through(e.put(e.key("last"), "v")).expectAll()
	}},
}
