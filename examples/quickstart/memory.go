package main

import (
	"context"
	"errors"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// inMemory returns one store in memory. Two programs reach it through wrappers that fail on request.
func inMemory() *place {
	store := memory.New()
	a, b := fault.New(store), fault.New(store)
	return &place{
		about:  "One store in memory, and two programs, A and B, whose connections to it are made to fail.",
		key:    "/app/limits",
		first:  view{a, "A"},
		second: func(context.Context) (view, error) { return view{b, "B"}, nil },
		writer: store,
		faults: &faults{
			stop: deed{"end A's watch, leave B hanging", func(context.Context) error {
				a.EndStreams(kv.ErrUnavailable)
				b.Cut()
				return nil
			}},
			start: deed{"let B go on", func(context.Context) error { b.Heal(); return nil }},
			partition: deed{"refuse B as without a leader", func(context.Context) error {
				b.Fail(-1, kv.ErrUnavailable)
				b.EndStreams(kv.ErrUnavailable)
				return nil
			}},
			heal:    deed{"no longer refuse B", func(context.Context) error { b.Clear(); return nil }},
			cut:     deed{"cut B off", func(context.Context) error { b.Cut(); return nil }},
			mend:    deed{"connect B again", func(context.Context) error { b.Heal(); return nil }},
			compact: store.Compact,
			watches: func(ctx context.Context, each int) error {
				served := func(c fault.Counts) bool { return c.Streams == each }
				return errors.Join(a.Wait(ctx, served), b.Wait(ctx, served))
			},
		},
		close: store.Close,
	}
}
