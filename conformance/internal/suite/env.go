package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Env is what a check works with: a store, keys that no other check uses, and a ledger of its writes.
type Env struct {
	T
	Trace   *recorder // the same as T
	suite   *Suite
	watches *atomic.Int32 // how many watches were begun
	Backend Backend
	Store   Store
	Prefix  string // all keys of the check begin with it
	Ledger  *ledger
}

type Committer interface {
	Store
	kv.Committer
}

// Key returns a key of the check.
func (e *Env) Key(name string) string { return e.Prefix + name }

// All is the range of all keys of the check.
func (e *Env) All() kv.Range { return kv.Prefix(e.Prefix) }

// Moot ends the check, because there is nothing to look at in this store.
func (e *Env) Moot(reason string) { e.Trace.moot(reason) }

// Bounded returns a context for one call. It ends when the call has taken longer than any call should.
func (e *Env) Bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(e.Context(), e.Backend.patience(), ErrInVain)
}

var ErrInVain = errors.New("waited in vain")

// Write does one write, which may fail. If it does not fail, it is entered in the ledger, which keeps ops and their values.
func (e *Env) Write(what string, do func(context.Context) (kv.Revision, error), ops ...kv.Op) (kv.Revision, error) {
	ctx, cancel := e.Bounded()
	defer cancel()
	rev, err := do(ctx)
	if err != nil {
		e.Logf("%s -> %v", what, err)
		return 0, err
	}
	e.Logf("%s -> revision %d", what, rev)
	e.Ledger.add(rev, ops...)
	return rev, nil
}

// TryPut puts through s. This is the check's store, or another store over the same data.
func (e *Env) TryPut(s Store, key, value string, conditions ...kv.Condition) (kv.Revision, error) {
	return e.Write(fmt.Sprintf("put %s = %s%s", e.Short(key), Brief(value), Conditions(conditions)), func(ctx context.Context) (kv.Revision, error) {
		return s.Put(ctx, key, []byte(value), conditions...)
	}, kv.PutOp(key, []byte(value)))
}

func (e *Env) TryDelete(s Store, key string, conditions ...kv.Condition) (kv.Revision, error) {
	return e.Write(fmt.Sprintf("delete %s%s", e.Short(key), Conditions(conditions)), func(ctx context.Context) (kv.Revision, error) {
		return s.Delete(ctx, key, conditions...)
	}, kv.DeleteOp(key))
}

// TryCommit is only for checks that need the ability Commit.
func (e *Env) TryCommit(s Store, ops ...kv.Op) (kv.Revision, error) {
	kept := slices.Clone(ops) // the check may change the values afterwards
	for i := range kept {
		kept[i].Value = bytes.Clone(kept[i].Value)
	}
	return e.Write("commit "+e.describeOps(ops), func(ctx context.Context) (kv.Revision, error) {
		return s.(Committer).Commit(ctx, ops...)
	}, kept...)
}

// Put puts a key, and ends the check if that fails. So do the two below.
func (e *Env) Put(key, value string, conditions ...kv.Condition) kv.Revision {
	rev, err := e.TryPut(e.Store, key, value, conditions...)
	e.Must("put", err)
	return rev
}

func (e *Env) Delete(key string, conditions ...kv.Condition) kv.Revision {
	rev, err := e.TryDelete(e.Store, key, conditions...)
	e.Must("delete", err)
	return rev
}

func (e *Env) Commit(ops ...kv.Op) kv.Revision {
	rev, err := e.TryCommit(e.Store, ops...)
	e.Must("commit", err)
	return rev
}

func (e *Env) Must(what string, err error) {
	if err != nil {
		e.Fatalf("%s failed: %v", what, err)
	}
}

func (e *Env) TryGet(s Store, r kv.Range) (kv.Snapshot, error) {
	ctx, cancel := e.Bounded()
	defer cancel()
	snapshot, err := s.Get(ctx, r)
	if err != nil {
		e.Logf("get %s -> %v", e.ShortRange(r), err)
		return snapshot, err
	}
	e.Logf("get %s -> %d entries at revision %d", e.ShortRange(r), len(snapshot.Entries), snapshot.Revision)
	return snapshot, nil
}

func (e *Env) Get(r kv.Range) kv.Snapshot {
	snapshot, err := e.TryGet(e.Store, r)
	e.Must("get "+r.String(), err)
	return snapshot
}

// ExpectSnapshot requires the entries of r to be those of the ledger at the revision of the snapshot. If r has more keys than those of the
// check, the other keys are ignored.
func (e *Env) ExpectSnapshot(r kv.Range, got kv.Snapshot) {
	if diff := e.EntriesDiffer(e.Ledger.EntriesAt(r, got.Revision), e.Own(r, got.Entries)); diff != "" {
		e.Errorf("the entries of %s at revision %d are not those that were written up to then:\n%s", e.ShortRange(r), got.Revision, diff)
	}
}

// Own returns the entries of r, without those of other checks if r has more keys than those of the check.
func (e *Env) Own(r kv.Range, entries []kv.Entry) []kv.Entry {
	from, to, bounded := r.Bounds()
	if first, end, _ := e.All().Bounds(); bounded && from >= first && to <= end {
		return entries
	}
	var own []kv.Entry
	for _, entry := range entries {
		if hasPrefix(entry.Key, e.Prefix) || e.Ledger.mentions(entry.Key) {
			own = append(own, entry)
		}
	}
	return own
}

// Parallel runs f n times concurrently, and ends the check if one call fails.
func (e *Env) Parallel(n int, f func(i int) error) { e.Background(n, f)() }

// Background starts n concurrent calls of f. It returns the function that waits for them.
func (e *Env) Background(n int, f func(i int) error) (wait func()) {
	errs := make([]error, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			defer e.Trace.reportPanic()
			errs[i] = f(i)
		})
	}
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	e.Cleanup(func() { e.Await(done) })
	return func() {
		if !e.Await(done) {
			e.Fatalf("%d calls at once: some do not return", n)
		}
		e.Must("one of several calls at once", errors.Join(errs...))
	}
}

// Patience is how long a check waits for what has to come. After that the guarantee is broken.
func (e *Env) Patience() time.Duration { return e.Backend.patience() }

// AtOnce bounds the time of what must happen without waiting.
func (e *Env) AtOnce() time.Duration { return min(atOnce, e.Backend.patience()) }

// Await waits for done, and reports whether it was closed. It stops when the check has done nothing for longer than one step may take.
// Many steps together may take longer.
func (e *Env) Await(done <-chan struct{}) bool {
	limit := 2 * e.Backend.patience()
	for begin := time.Now(); ; {
		idle := min(e.Trace.idle(), time.Since(begin))
		if idle >= limit {
			return false
		}
		timer := time.NewTimer(limit - idle)
		select {
		case <-done:
			timer.Stop()
			return true
		case <-timer.C:
		}
	}
}

// Canceled returns a context that is cancelled, and expired one whose deadline is past.
func (e *Env) Canceled() context.Context {
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	return ctx
}

func (e *Env) Expired() context.Context {
	ctx, cancel := context.WithDeadline(e.Context(), time.Now().Add(-time.Second))
	e.Cleanup(cancel)
	return ctx
}
