package suite

import (
	"context"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// longHistory is a store with a long history, for the checks that read it. It takes long to make, so they share one.
type longHistory struct {
	*Env
	Start, Last kv.Revision // the history is after start, up to last
}

const longRevisions = 2200

// LongHistory returns the shared store for this check. The check must not write to it, and must not compact it.
func (e *Env) LongHistory() *longHistory {
	s := e.suite
	if s.recorder == nil {
		ctx, cancel := context.WithCancel(s.ctx)
		s.release = cancel
		s.recorder = &recorder{name: "long history", ctx: ctx, moved: time.Now()}
	}
	if s.long == nil && !s.recorder.failed() {
		e.writeLongHistory()
	}
	if s.long == nil {
		e.Fatalf("the history that this check reads could not be written:%s", s.recorder.report())
	}
	seen := *s.long.Env
	seen.T, seen.Trace = e.T, e.Trace
	e.Logf("take a store with %d revisions after %d, up to %d; its keys are those below %q", longRevisions, s.long.Start, s.long.Last, seen.Prefix)
	return &longHistory{Env: &seen, Start: s.long.Start, Last: s.long.Last}
}

// writeLongHistory writes the history of the shared store. It makes many writes. Patience bounds each of them, not all together.
func (e *Env) writeLongHistory() {
	defer e.Trace.unhurried()()
	s := e.suite
	s.recorder.guarded(func() {
		long := &longHistory{Env: s.open(s.recorder, "long")}
		long.Start = long.Get(long.All()).Revision
		long.make()
		long.Last = long.Put(long.Key("last"), "v")
		s.long = long
	})
}

// make writes most keys again and again and some keys once, with deletions in between and some commits. The values are so large that the
// heap shows whether all of them are held.
func (l *longHistory) make() {
	const writers = 32
	value := func(i int) string { return fmt.Sprintf("%-512d", i) }
	l.Parallel(writers, func(w int) error {
		for i := w; i < longRevisions; i += writers {
			key := l.Key(fmt.Sprint(i % 20))
			var err error
			switch {
			case i%41 == 0 && l.Backend.Commit:
				var ops []kv.Op
				for n := range 10 {
					ops = append(ops, kv.PutOp(l.Key(fmt.Sprintf("%d in commit", n)), []byte(value(i))))
				}
				_, err = l.TryCommit(l.Store, ops...)
			case i%13 == 0:
				_, err = l.TryDelete(l.Store, key)
			case i%17 == 0:
				_, err = l.TryPut(l.Store, l.Key(fmt.Sprint("once ", i)), value(i))
			default:
				_, err = l.TryPut(l.Store, key, value(i))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
