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

// interruptedChecks are those of writes that are under way when their store is cut off.
var interruptedChecks = []check{
	{"Writer", "interrupted", "cuts a store off while eight of its writes are under way, several times: another store onto the same data writes meanwhile", suite.Cut | suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		for round := range interruptions {
			writers := e.writersCutOff(round, 8, nil)
			e.expectWritable(other, fmt.Sprint(round))
			writers.heal()
		}
	}},
	{"Writer", "unacknowledged", "cuts a store off while eight of its writes are under way, puts the same keys through another store, and heals it, several times: no write happens twice, and a write that failed with ErrConflict has not happened", suite.Cut | suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		start := e.Get(e.All()).Revision
		for round := range interruptions {
			writers := e.writersCutOff(round, 8, func(n int) []kv.Condition {
				if n%2 == 1 {
					return []kv.Condition{kv.IfAbsent()}
				}
				return nil
			})
			for n := range 8 {
				_, err := e.TryPut(other, e.Key(fmt.Sprint(round, " ", n)), fmt.Sprint("somebody else's ", n))
				e.Must("put through another store", err)
			}
			writers.heal()
			e.expectOnceEach(other, start, writers.attempts)
		}
	}},
}

// interruptions is how often a check cuts a store off in the middle of its writes: a store that is at fault only when a write is at
// a certain point is found nevertheless.
const interruptions = 4

// attempt is a write whose outcome its store may never learn.
type attempt struct {
	key, value string
	err        error
}

// interrupted is the writers of a store that is cut off.
type interrupted struct {
	attempts []attempt // set when heal returns
	heal     func()
}

// writersCutOff has n writers put without a pause through the check's store, each another key, and cuts the store off in the middle. A
// writer stops at its first error, and waits for its write as long as the store is cut off. heal ends the cut, and waits for the writers.
func (e *env) writersCutOff(round, n int, conditions func(n int) []kv.Condition) *interrupted {
	ctx, cancel := context.WithCancel(e.Context())
	underWay := make(chan struct{}, n)
	var stopped atomic.Bool
	var writes atomic.Int64 // that were made or have failed
	w := new(interrupted)
	var mu sync.Mutex
	wait := e.Background(n, func(n int) error {
		key := e.Key(fmt.Sprint(round, " ", n))
		for i := 0; !stopped.Load(); i++ {
			a := attempt{key: key, value: fmt.Sprintf("%d of writer %d in round %d", i, n, round)}
			a.err = e.putInterrupted(ctx, a, i, conditions, n)
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
			e.Fatalf("the writers do not get on")
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

// untilStill returns when the writers have met the cut: no write ends any more.
func (e *env) untilStill(writes *atomic.Int64) {
	for end := time.Now().Add(e.AtOnce()); time.Now().Before(end); {
		before := writes.Load()
		time.Sleep(10 * time.Millisecond)
		if writes.Load() == before {
			return
		}
	}
}

// putInterrupted is a put that may be cut off. It stays out of the ledger, as nobody knows whether it happened. With conditions,
// each is the first put of its key.
func (e *env) putInterrupted(ctx context.Context, a attempt, i int, conditions func(n int) []kv.Condition, n int) error {
	key, only := a.key, []kv.Condition(nil)
	if conditions != nil {
		if only = conditions(n); only != nil {
			key = fmt.Sprint(key, " ", i)
		}
	}
	_, err := e.Store.Put(ctx, key, []byte(a.value), only...)
	return err
}

// expectWritable requires a write through other to succeed at once, though e.Store is cut off in the middle of its own.
func (e *env) expectWritable(other suite.Store, value string) {
	ctx, cancel := context.WithTimeout(e.Context(), e.AtOnce())
	defer cancel()
	_, err := e.Write("put through another store", func(context.Context) (kv.Revision, error) {
		return other.Put(ctx, e.Key("other"), []byte(value))
	}, kv.PutOp(e.Key("other"), []byte(value)))
	if err != nil {
		e.Errorf("a store was cut off in the middle of its writes, and another one cannot write: %v. What a write locks has to be "+
			"released whatever becomes of the writer: make a write one statement, or one call of a function", err)
	}
}

// expectOnceEach requires the history after start to hold each attempt at most once, and none that is said to have
// met a conflict.
func (e *env) expectOnceEach(other suite.Store, start kv.Revision, attempts []attempt) {
	last, err := e.TryPut(other, e.Key("last"), "v")
	e.Must("put through another store", err)
	w := e.WatchVia(e.Context(), other, e.All(), start).Through(last)
	happened := make(map[string]int)
	for _, event := range w.Events() {
		happened[string(event.Value)]++
	}
	for _, a := range attempts {
		switch n := happened[a.value]; {
		case n > 1:
			e.Errorf("one put of %q, during which the store was cut off, has happened %d times. Its acknowledgement was lost, and the store "+
				"has put again: what others have written since is overwritten", a.value, n)
		case n > 0 && errors.Is(a.err, kv.ErrConflict):
			e.Errorf("a put of %q, on the condition that the key is absent, has failed with %q, but it has happened. Its acknowledgement was "+
				"lost, and the store has put again and met its own write", a.value, a.err)
		}
	}
}
