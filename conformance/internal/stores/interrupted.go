package stores

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// interruptedChecks are the checks of writes that are pending when their store is cut off.
var interruptedChecks = []check{
	{"Writer", "interrupted", "cuts a store off while eight of its writes are pending, several times: during the cut, another store over the same data can write", suite.Cut | suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		for round := range interruptions {
			writers := e.writersCutOff(round, 8, e.putInterrupted)
			e.expectWritable(other, fmt.Sprint(round))
			writers.heal()
		}
	}},
	{"Writer", "unacknowledged", "cuts a store off while twelve of its puts, deletions and commits are pending, puts the same keys through another store, and heals the cut, several times: no write happens twice, and a write that failed with ErrConflict has not happened", suite.Cut | suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		start := e.Get(e.All()).Revision
		kinds := []func(context.Context, attempt, int) attempt{e.putInterrupted, e.createInterrupted, e.commitInterrupted, e.deleteInterrupted(other)}
		for round := range interruptions {
			writers := e.writersCutOff(round, 12, func(ctx context.Context, a attempt, i int) attempt { return kinds[a.writer%len(kinds)](ctx, a, i) })
			for n := range 12 {
				_, err := e.TryPut(other, e.Key(fmt.Sprint(round, " ", n)), fmt.Sprint("somebody else's ", n))
				e.Must("put through another store", err)
			}
			writers.heal()
			e.expectOnceEach(other, start, writers.attempts)
		}
	}},
}

// interruptions is how many times a check cuts a store off in the middle of its writes. With several times, it also finds a store that fails
// only if the cut comes at a certain point of a write.
const interruptions = 4

// attempt is a write whose outcome its store may never learn.
type attempt struct {
	writer     int
	key, value string // the value is that of no other attempt; it is empty if the attempt is a deletion
	err        error
}

// interrupted has the writes of a store that is cut off.
type interrupted struct {
	attempts []attempt // set when heal returns
	heal     func()
}

// writersCutOff makes n writers write without a pause through the check's store, each its own key, and cuts the store off in the middle. write
// makes the ith write of a writer, and returns what it has attempted. A writer stops at its first error. During the cut, it waits for its
// pending write. heal ends the cut, and waits for the writers.
func (e *env) writersCutOff(round, n int, write func(ctx context.Context, a attempt, i int) attempt) *interrupted {
	ctx, cancel := context.WithCancel(e.Context())
	underWay := make(chan struct{}, n)
	var stopped atomic.Bool
	var writes atomic.Int64 // writes that have succeeded or failed
	w := new(interrupted)
	var mu sync.Mutex
	wait := e.Background(n, func(n int) error {
		key := e.Key(fmt.Sprint(round, " ", n))
		for i := 0; !stopped.Load(); i++ {
			a := write(ctx, attempt{writer: n, key: key, value: fmt.Sprintf("%d of writer %d in round %d", i, n, round)}, i)
			mu.Lock()
			w.attempts = append(w.attempts, a)
			mu.Unlock()
			writes.Add(1)
			if a.err != nil {
				return nil
			}
			select {
			case underWay <- struct{}{}:
			default:
			}
		}
		return nil
	})
	for range n {
		if !e.Await(underWay) {
			e.Fatalf("the writers make no progress")
		}
	}
	heal := e.Cut()
	e.untilStill(&writes)
	w.heal = func() {
		heal()
		stopped.Store(true)
		e.Logf("wait for the writers")
		giveUp := time.AfterFunc(e.Patience(), cancel)
		defer giveUp.Stop()
		wait()
	}
	e.Cleanup(cancel)
	return w
}

// untilStill waits until the cut blocks the writers: no write ends any more.
func (e *env) untilStill(writes *atomic.Int64) {
	for end := time.Now().Add(e.AtOnce()); time.Now().Before(end); {
		before := writes.Load()
		time.Sleep(10 * time.Millisecond)
		if writes.Load() == before {
			return
		}
	}
}

// putInterrupted makes a put that a cut may interrupt. The ledger does not record it, because it is unknown whether it happened. The same is
// true of the functions below.
func (e *env) putInterrupted(ctx context.Context, a attempt, _ int) attempt {
	_, a.err = e.Store.Put(ctx, a.key, []byte(a.value))
	return a
}

// createInterrupted puts a new key each time, on the condition that it is absent.
func (e *env) createInterrupted(ctx context.Context, a attempt, i int) attempt {
	a.key = fmt.Sprint(a.key, " ", i)
	_, a.err = e.Store.Put(ctx, a.key, []byte(a.value), kv.IfAbsent())
	return a
}

// commitInterrupted commits a put, if the store can commit.
func (e *env) commitInterrupted(ctx context.Context, a attempt, i int) attempt {
	if !e.Backend.Commit {
		return e.putInterrupted(ctx, a, i)
	}
	_, a.err = e.Store.(suite.Committer).Commit(ctx, kv.PutOp(a.key, []byte(a.value)))
	return a
}

// deleteInterrupted deletes a key that another store has put, so that a deletion is pending whenever the cut comes.
func (e *env) deleteInterrupted(other suite.Store) func(context.Context, attempt, int) attempt {
	return func(ctx context.Context, a attempt, _ int) attempt {
		if _, a.err = other.Put(ctx, a.key, []byte(a.value)); a.err != nil {
			return a
		}
		a.value = ""
		_, a.err = e.Store.Delete(ctx, a.key)
		return a
	}
}

// expectWritable requires that a write through other succeeds at once, although e.Store is cut off in the middle of its writes.
func (e *env) expectWritable(other suite.Store, value string) {
	ctx, cancel := context.WithTimeout(e.Context(), e.AtOnce())
	defer cancel()
	_, err := e.Write("put through another store", func(context.Context) (kv.Revision, error) {
		return other.Put(ctx, e.Key("other"), []byte(value))
	}, kv.PutOp(e.Key("other"), []byte(value)))
	if err != nil {
		e.Errorf("a store was cut off in the middle of its writes, and now another store cannot write: %v. The locks of a write must be "+
			"released even if the writer vanishes: make a write one statement, or one call of a function", err)
	}
}

// expectOnceEach requires that the history after start has each attempt at most once, and no attempt that failed with a conflict.
func (e *env) expectOnceEach(other suite.Store, start kv.Revision, attempts []attempt) {
	last, err := e.TryPut(other, e.Key("last"), "v")
	e.Must("put through another store", err)
	w := e.WatchVia(e.Context(), other, e.All(), start).Through(last)
	happened, deleted := make(map[string]int), make(map[string]int)
	for _, event := range w.Events() {
		if event.Type == kv.EventDelete {
			deleted[event.Key]++
		} else {
			happened[string(event.Value)]++
		}
	}
	asked := make(map[string]int)
	for _, a := range attempts {
		n := happened[a.value]
		switch {
		case a.value == "":
			asked[a.key]++
		case n > 1:
			e.Errorf("the store was cut off during one write of %q, and the write has happened %d times. Its acknowledgement was lost, and the store "+
				"has written again: this overwrites what others have written since", a.value, n)
		case n > 0 && errors.Is(a.err, kv.ErrConflict):
			e.Errorf("a put of %q, on the condition that the key is absent, failed with %q, but it has happened. Its acknowledgement was "+
				"lost, and the store has put again and found its own write", a.value, a.err)
		}
	}
	for key, n := range asked {
		if deleted[key] > n {
			e.Errorf("the store was cut off during the last of %d deletions of %s, and the key was deleted %d times. The acknowledgement of the deletion "+
				"was lost, and the store has deleted again: this deletes what others have put since", n, e.Short(key), deleted[key])
		}
	}
}
