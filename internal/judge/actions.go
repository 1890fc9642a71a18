package judge

import (
	"context"
	"errors"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
)

// actions are the actions of every ground.
var actions = map[string]Action{
	"put":                     write(func(ctx context.Context, h *Harness, _ int) error { return h.Writer.Put(ctx) }),
	"put bad":                 write(func(ctx context.Context, h *Harness, _ int) error { return h.Writer.PutBad(ctx) }),
	"delete":                  write(func(ctx context.Context, h *Harness, _ int) error { return h.Writer.Delete(ctx) }),
	"put many":                write(putMany),
	"commit":                  write(commit),
	"put other":               write(func(ctx context.Context, h *Harness, _ int) error { _, err := h.Writer.mark(ctx); return err }),
	"lose a request":          write(lose()),
	"lose an acknowledgement": write(lose(fault.Answered)),
	"compact":                 write(func(ctx context.Context, h *Harness, _ int) error { return Forget(ctx, h.Writer, h.ground.Compact) }),
	"say compacted":           write(sayCompacted),

	"cut":         func(_ context.Context, h *Harness, n int) error { h.Faults.Cut(some(n)...); return nil },
	"freeze":      func(_ context.Context, h *Harness, n int) error { h.Faults.Freeze(some(n)...); return nil },
	"heal":        func(_ context.Context, h *Harness, _ int) error { h.Faults.Heal(); return nil },
	"end":         func(_ context.Context, h *Harness, _ int) error { h.Faults.EndStreams(kv.ErrUnavailable); return nil },
	"end quietly": func(_ context.Context, h *Harness, _ int) error { h.Faults.EndStreams(nil); return nil },
	"silence":     func(_ context.Context, h *Harness, _ int) error { h.Faults.Silence(); return nil },
	"fail": func(_ context.Context, h *Harness, n int) error {
		h.Faults.Fail(n%4, kv.ErrUnavailable, some(n/4)...)
		return nil
	},
	"refuse a watch": func(_ context.Context, h *Harness, n int) error {
		h.Faults.Fail(n%4, kv.ErrPermission, fault.Watches)
		return nil
	},
	"refuse": func(_ context.Context, h *Harness, n int) error {
		h.Writer.Refuse()
		h.Faults.Fail(n%4, kv.ErrPermission)
		return nil
	},
	"delay": func(_ context.Context, h *Harness, n int) error {
		h.Faults.Delay(time.Duration(n)*h.pace/10, some(n)...)
		return nil
	},
	"hold": func(_ context.Context, h *Harness, n int) error {
		h.holds = append(h.holds, h.Faults.Hold(some(n)...))
		return nil
	},
	"release": func(_ context.Context, h *Harness, n int) error {
		if len(h.holds) > 0 {
			h.holds[n%len(h.holds)].Release()
		}
		return nil
	},
	"duplicate": func(_ context.Context, h *Harness, n int) error { h.Faults.Duplicate(1 + n%3); return nil },
	"drop":      dropDeletion,

	"open": func(_ context.Context, h *Harness, n int) error {
		modes := h.Watchers.Modes()
		h.Watchers.Open(modes[n%len(modes)])
		return nil
	},
	"close": func(_ context.Context, h *Harness, n int) error { h.Watchers.CloseOne(n); return nil },
	"quiet": func(_ context.Context, h *Harness, _ int) error { h.ground.Quiet(); return nil },
	"pass": func(ctx context.Context, h *Harness, n int) error {
		h.ground.Pass(ctx, time.Duration(n*n)*2*time.Millisecond)
		return nil
	},
}

// write is an action that writes. A failed write is no error of the action: the Writer notes it.
func write(do Action) Action {
	return func(ctx context.Context, h *Harness, n int) error {
		if err := h.noticed(ctx); err != nil {
			return err
		}
		err := do(ctx, h, n)
		if errors.Is(err, kv.ErrUnavailable) {
			return nil
		}
		return err
	}
}

func putMany(ctx context.Context, h *Harness, n int) error {
	for range n % 40 {
		if err := h.Writer.Put(ctx); err != nil {
			return err
		}
	}
	return nil
}

// committer is a [Written] of a range.
type committer interface{ Commit(context.Context) error }

// commit writes several keys of a range in one revision.
func commit(ctx context.Context, h *Harness, _ int) error { return h.Writer.(committer).Commit(ctx) }

// lose is a write whose outcome is unknown.
func lose(when ...fault.Match) Action {
	return func(ctx context.Context, h *Harness, n int) error {
		h.writes.Fail(1, kv.ErrUnavailable, append(when, fault.On(h.written))...)
		defer h.writes.Clear()
		several, ok := h.Writer.(committer)
		switch {
		case n%4 == 0:
			return h.Writer.Delete(ctx)
		case n%4 == 1 && ok:
			return several.Commit(ctx)
		}
		return h.Writer.Put(ctx)
	}
}

// sayCompacted ends the streams with the error that history is gone, although it is not.
func sayCompacted(ctx context.Context, h *Harness, _ int) error {
	h.Faults.EndStreams(&kv.CompactedError{})
	return excuseCompaction(ctx, h.Writer)
}

// dropDeletion loses the next deletion that a stream delivers. It loses no puts: if a put before a deletion is lost, or a put and its
// deletion are, no watcher can notice it.
func dropDeletion(_ context.Context, h *Harness, _ int) error {
	h.Writer.Dropped()
	if h.drop != nil {
		h.drop.Remove()
	}
	h.drop = h.Faults.Drop(1, fault.Deletes)
	return nil
}

// some chooses kinds of calls.
func some(n int) []fault.Match {
	kinds := [][]fault.Match{
		nil, {fault.Gets}, {fault.Watches}, {fault.Gets, fault.Answered}, {fault.Watches, fault.Answered}, {fault.Answered},
	}
	return kinds[n%len(kinds)]
}
