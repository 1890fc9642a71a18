package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// env is what a check works with: a store, keys of its own in it, and a ledger of what it wrote.
type env struct {
	T
	trace   *recorder // what T is
	suite   *suite
	watches *atomic.Int32 // how many were begun
	backend Backend
	store   Store
	prefix  string // of all the check's keys
	ledger  *ledger
}

type committer interface {
	Store
	kv.Committer
}

// key returns a key of the check's own.
func (e *env) key(name string) string { return e.prefix + name }

// all is the range of all the check's own keys.
func (e *env) all() kv.Range { return kv.Prefix(e.prefix) }

// moot ends the check, because there is nothing to look at in this store.
func (e *env) moot(reason string) { e.trace.moot(reason) }

// bounded returns a context for one call. It ends when the call has taken longer than anything should.
func (e *env) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(e.Context(), e.backend.patience(), errInVain)
}

var errInVain = errors.New("waited in vain")

// write does one write, which may fail, and enters it in the ledger if it did not.
func (e *env) write(what string, do func(context.Context) (kv.Revision, error), ops ...kv.Op) (kv.Revision, error) {
	ctx, cancel := e.bounded()
	defer cancel()
	rev, err := do(ctx)
	if err != nil {
		e.Logf("%s -> %v", what, err)
		return 0, err
	}
	e.Logf("%s -> revision %d", what, rev)
	e.ledger.add(rev, ops...)
	return rev, nil
}

// tryPut puts through s, the check's store or another onto the same data.
func (e *env) tryPut(s Store, key, value string, conditions ...kv.Condition) (kv.Revision, error) {
	return e.write(fmt.Sprintf("put %s = %s%s", e.short(key), brief(value), describe(conditions)), func(ctx context.Context) (kv.Revision, error) {
		return s.Put(ctx, key, []byte(value), conditions...)
	}, kv.PutOp(key, []byte(value)))
}

func (e *env) tryDelete(s Store, key string, conditions ...kv.Condition) (kv.Revision, error) {
	return e.write(fmt.Sprintf("delete %s%s", e.short(key), describe(conditions)), func(ctx context.Context) (kv.Revision, error) {
		return s.Delete(ctx, key, conditions...)
	}, kv.DeleteOp(key))
}

// tryCommit is only for checks that need commits.
func (e *env) tryCommit(s Store, ops ...kv.Op) (kv.Revision, error) {
	return e.write("commit "+e.describeOps(ops), func(ctx context.Context) (kv.Revision, error) {
		return s.(committer).Commit(ctx, ops...)
	}, ops...)
}

// put writes, and ends the check if that fails. So do the two below.
func (e *env) put(key, value string, conditions ...kv.Condition) kv.Revision {
	rev, err := e.tryPut(e.store, key, value, conditions...)
	e.must("put", err)
	return rev
}

func (e *env) delete(key string, conditions ...kv.Condition) kv.Revision {
	rev, err := e.tryDelete(e.store, key, conditions...)
	e.must("delete", err)
	return rev
}

func (e *env) commit(ops ...kv.Op) kv.Revision {
	rev, err := e.tryCommit(e.store, ops...)
	e.must("commit", err)
	return rev
}

func (e *env) must(what string, err error) {
	if err != nil {
		e.Fatalf("%s failed: %v", what, err)
	}
}

func (e *env) tryGet(s Store, r kv.Range) (kv.Snapshot, error) {
	ctx, cancel := e.bounded()
	defer cancel()
	snapshot, err := s.Get(ctx, r)
	if err != nil {
		e.Logf("get %s -> %v", e.shortRange(r), err)
		return snapshot, err
	}
	e.Logf("get %s -> %d entries at revision %d", e.shortRange(r), len(snapshot.Entries), snapshot.Revision)
	return snapshot, nil
}

func (e *env) get(r kv.Range) kv.Snapshot {
	snapshot, err := e.tryGet(e.store, r)
	e.must("get "+r.String(), err)
	return snapshot
}

// expectSnapshot requires the entries of r to be those of the ledger at the snapshot's own revision. Where r
// reaches beyond the check's keys, others are left aside.
func (e *env) expectSnapshot(r kv.Range, got kv.Snapshot) {
	own := got.Entries
	from, to, bounded := r.Bounds()
	if first, end, _ := e.all().Bounds(); !bounded || from < first || to > end {
		own = nil
		for _, entry := range got.Entries {
			if hasPrefix(entry.Key, e.prefix) || e.ledger.mentions(entry.Key) {
				own = append(own, entry)
			}
		}
	}
	if diff := e.difference(seenEntries(e.ledger.entriesAt(r, got.Revision)), seenEntries(own)); diff != "" {
		e.Errorf("the entries of %s at revision %d are not those that were written up to then:\n%s", e.shortRange(r), got.Revision, diff)
	}
}

// parallel runs f n times at once, and ends the check if any of them fails.
func (e *env) parallel(n int, f func(i int) error) { e.background(n, f)() }

// background starts f n times at once, and returns the function that waits for them.
func (e *env) background(n int, f func(i int) error) (wait func()) {
	errs := make([]error, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { errs[i] = f(i) })
	}
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	e.Cleanup(func() { e.await(done) })
	return func() {
		if !e.await(done) {
			e.Fatalf("%d calls at once: some do not return", n)
		}
		e.must("one of several calls at once", errors.Join(errs...))
	}
}

// atOnce is how soon that has to happen which waits for nothing.
func (e *env) atOnce() time.Duration { return min(atOnce, e.backend.patience()) }

// await waits for done as long as anything may take, and reports whether it came.
func (e *env) await(done <-chan struct{}) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.Context()), 2*e.backend.patience())
	defer cancel()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}
