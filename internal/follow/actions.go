package follow

import (
	"context"
	"errors"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
)

// actions are what can be done on every ground.
var actions = map[string]Action{
	"put":                     write(func(ctx context.Context, s *Harness, _ int) error { return s.Log.Put(ctx) }),
	"put bad":                 write(func(ctx context.Context, s *Harness, _ int) error { return s.Log.PutBad(ctx) }),
	"delete":                  write(func(ctx context.Context, s *Harness, _ int) error { return s.Log.Delete(ctx) }),
	"put many":                write(putMany),
	"put other":               write(func(ctx context.Context, s *Harness, _ int) error { _, err := s.Log.mark(ctx); return err }),
	"lose a request":          write(lose()),
	"lose an acknowledgement": write(lose(fault.Answered)),
	"compact":                 write(func(ctx context.Context, s *Harness, _ int) error { return s.Log.Forget(ctx, s.ground.Compact) }),
	"say compacted":           write(sayCompacted),

	"cut":         func(_ context.Context, s *Harness, n int) error { s.Faults.Cut(some(n)...); return nil },
	"freeze":      func(_ context.Context, s *Harness, n int) error { s.Faults.Freeze(some(n)...); return nil },
	"heal":        func(_ context.Context, s *Harness, _ int) error { s.Faults.Heal(); return nil },
	"end":         func(_ context.Context, s *Harness, _ int) error { s.Faults.EndStreams(kv.ErrUnavailable); return nil },
	"end quietly": func(_ context.Context, s *Harness, _ int) error { s.Faults.EndStreams(nil); return nil },
	"silence":     func(_ context.Context, s *Harness, _ int) error { s.Faults.Silence(); return nil },
	"fail": func(_ context.Context, s *Harness, n int) error {
		s.Faults.Fail(n%4, kv.ErrUnavailable, some(n/4)...)
		return nil
	},
	"refuse a watch": func(_ context.Context, s *Harness, n int) error {
		s.Faults.Fail(n%4, kv.ErrPermission, fault.Watches)
		return nil
	},
	"refuse": func(_ context.Context, s *Harness, n int) error {
		s.Log.Refuse()
		s.Faults.Fail(n%4, kv.ErrPermission)
		return nil
	},
	"delay": func(_ context.Context, s *Harness, n int) error {
		s.Faults.Delay(time.Duration(n)*s.Watchers.config.Pace/10, some(n)...)
		return nil
	},
	"hold": func(_ context.Context, s *Harness, n int) error {
		s.holds = append(s.holds, s.Faults.Hold(some(n)...))
		return nil
	},
	"release": func(_ context.Context, s *Harness, n int) error {
		if len(s.holds) > 0 {
			s.holds[n%len(s.holds)].Release()
		}
		return nil
	},
	"duplicate": func(_ context.Context, s *Harness, n int) error { s.Faults.Duplicate(1 + n%3); return nil },
	"drop":      dropDeletion,

	"open":  func(_ context.Context, s *Harness, n int) error { s.Watchers.Open(Modes()[n%len(Modes())]); return nil },
	"close": func(_ context.Context, s *Harness, n int) error { s.Watchers.CloseOne(n); return nil },
	"quiet": func(_ context.Context, s *Harness, _ int) error { s.ground.Quiet(); return nil },
	"pass": func(ctx context.Context, s *Harness, n int) error {
		s.ground.Pass(ctx, time.Duration(n*n)*2*time.Millisecond)
		return nil
	},
}

// write is an action that writes. That a write failed is for the Log to know.
func write(do Action) Action {
	return func(ctx context.Context, s *Harness, n int) error {
		if err := s.noticed(ctx); err != nil {
			return err
		}
		err := do(ctx, s, n)
		if errors.Is(err, kv.ErrUnavailable) {
			return nil
		}
		return err
	}
}

func putMany(ctx context.Context, s *Harness, n int) error {
	for range n % 40 {
		if err := s.Log.Put(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lose is a write whose outcome is unknown.
func lose(when ...fault.Match) Action {
	return func(ctx context.Context, s *Harness, n int) error {
		s.writes.Fail(1, kv.ErrUnavailable, append(when, fault.On(kv.Key(s.key)))...)
		defer s.writes.Clear()
		if n%4 == 0 {
			return s.Log.Delete(ctx)
		}
		return s.Log.Put(ctx)
	}
}

// sayCompacted ends the streams as if history were gone.
func sayCompacted(ctx context.Context, s *Harness, _ int) error {
	s.Faults.EndStreams(&kv.CompactedError{})
	return s.Log.Lied(ctx)
}

// dropDeletion loses the next deletion that a stream delivers. A put that is lost before a deletion, or a whole life of
// the key, leaves nothing by which it could be noticed.
func dropDeletion(_ context.Context, s *Harness, _ int) error {
	s.Log.Dropped()
	if s.drop != nil {
		s.drop.Remove()
	}
	s.drop = s.Faults.Drop(1, fault.Deletes)
	return nil
}

// some chooses calls.
func some(n int) []fault.Match {
	kinds := [][]fault.Match{
		nil, {fault.Gets}, {fault.Watches}, {fault.Gets, fault.Answered}, {fault.Watches, fault.Answered}, {fault.Answered},
	}
	return kinds[n%len(kinds)]
}
