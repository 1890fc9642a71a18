package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// longHistory is a store with several thousand revisions, as checks see it that read it. It costs much to make, so
// they share one.
type longHistory struct {
	*env
	start, last kv.Revision // the history is after start, up to last
}

const longRevisions = 2200

// longHistory returns the shared store, seen by this check. It must not be written to, nor compacted.
func (e *env) longHistory() *longHistory {
	s := e.suite
	if s.recorder == nil {
		ctx, cancel := context.WithCancel(s.ctx)
		s.release = cancel
		s.recorder = &recorder{name: "long history", ctx: ctx, moved: time.Now()}
	}
	if s.long == nil {
		s.recorder.guarded(func() {
			long := &longHistory{env: s.open(s.recorder, "long")}
			long.start = long.get(long.all()).Revision
			long.make()
			long.last = long.put(long.key("last"), "v")
			s.long = long
		})
	}
	if s.long == nil {
		e.Fatalf("the history that this check reads could not be written:%s", s.recorder.report())
	}
	seen := *s.long.env
	seen.T, seen.trace = e.T, e.trace
	e.Logf("take a store with %d revisions after %d, up to %d; its keys are those below %q", longRevisions, s.long.start, s.long.last, seen.prefix)
	return &longHistory{env: &seen, start: s.long.start, last: s.long.last}
}

// make writes: most keys over and over, some once, with deletions in between and now and then a commit.
func (l *longHistory) make() {
	const writers = 16
	l.parallel(writers, func(w int) error {
		for i := w; i < longRevisions; i += writers {
			key := l.key(fmt.Sprint(i % 20))
			var err error
			switch {
			case i%41 == 0 && l.backend.Commit:
				var ops []kv.Op
				for n := range 10 {
					ops = append(ops, kv.PutOp(l.key(fmt.Sprintf("%d in commit", n)), fmt.Append(nil, i)))
				}
				_, err = l.tryCommit(l.store, ops...)
			case i%13 == 0:
				_, err = l.tryDelete(l.store, key)
			case i%17 == 0:
				_, err = l.tryPut(l.store, l.key(fmt.Sprint("once ", i)), fmt.Sprint(i))
			default:
				_, err = l.tryPut(l.store, key, fmt.Sprint(i))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
