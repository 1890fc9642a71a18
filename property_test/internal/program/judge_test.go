package program_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/property_test/internal/program"
)

// liar is a store whose watches are wrong in one way.
type liar struct {
	program.Store
	watch func(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error]
}

func (l liar) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return l.watch(ctx, r, after)
}

// changedWatch returns a watch that delivers what the model's watch delivers, but changes each batch.
func changedWatch(model program.Store, change func(kv.Batch) []kv.Batch) func(context.Context, kv.Range, kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for batch, err := range model.Watch(ctx, r, after) {
				if err != nil {
					yield(batch, err)
					return
				}
				for _, batch := range change(batch) {
					if !yield(batch, nil) {
						return
					}
				}
			}
		}
	}
}

// A comparison of two stores misses a mistake that both make, or that is hidden when their batches are merged. So each watch is also checked by
// itself.
func TestAnIncorrectWatchIsDetected(t *testing.T) {
	p := program.Program{
		program.Watch(kv.All(), program.Now(0)),
		program.Put("a", "x"),
		program.Commit(program.Put("a", "y"), program.Put("b", "x")),
	}
	tests := []struct {
		name, want string
		change     func(kv.Batch) []kv.Batch
	}{
		{"W5 split", `W2, W3, W5 or W7: put of "b" at +2 came after a batch up to +2`, func(b kv.Batch) []kv.Batch {
			var batches []kv.Batch
			for _, event := range b.Events {
				batches = append(batches, kv.Batch{Revision: b.Revision, Events: []kv.Event{event}})
			}
			return batches
		}},
		{"W3 repeated", `W2, W3, W5 or W7: put of "a" at +1 came after a batch up to +1`, func(b kv.Batch) []kv.Batch {
			return []kv.Batch{b, b}
		}},
		{"W7 bookmark ahead", `W2, W3, W5 or W7: put of "a" at +2 came after a batch up to +2`, func(b kv.Batch) []kv.Batch {
			return []kv.Batch{b, {Revision: b.Revision + 1}}
		}},
		{"W7 batch ahead", "W7: a batch of 1 events is up to +2, its last event or the batch before it up to +1", func(b kv.Batch) []kv.Batch {
			b.Revision++
			return []kv.Batch{b}
		}},
		{"W7 bookmark back", "W7: a batch of 0 events is up to +0, its last event or the batch before it up to +1", func(b kv.Batch) []kv.Batch {
			return []kv.Batch{b, {Revision: b.Revision - 1}}
		}},
		{"W4 silent", "what was due did not come in time", func(kv.Batch) []kv.Batch { return nil }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				model := program.NewModel()
				store := liar{model, changedWatch(model, test.change)}
				start, err := program.Begin(t.Context(), store)
				if err != nil {
					t.Fatal(err)
				}
				if got := program.Run(t.Context(), store, start, p, synctest.Wait)[0]; !strings.Contains(got, "WRONG: "+test.want+"\n") {
					t.Errorf("the watch's answer is\n%s\nbut should say\n%s", got, test.want)
				}
			})
		})
	}
}

func TestAWatchThatEndsWithoutAnErrorIsDetected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := liar{program.NewModel(), func(context.Context, kv.Range, kv.Revision) iter.Seq2[kv.Batch, error] {
			return func(func(kv.Batch, error) bool) {}
		}}
		p := program.Program{program.Watch(kv.All(), program.Now(0))}
		got := program.Run(t.Context(), store, 1, p, synctest.Wait)
		if want := (program.Answers{"end: unforeseen: it ended without an error"}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the answer is %q, want %q", got, want)
		}
	})
}

// Before a watch is ended, the runner waits for everything that it may still deliver. Otherwise a program would show a mistake in one run and not in
// another, and could not be shortened.
func TestAnUnexpectedEventIsDetectedEvenIfItIsLate(t *testing.T) {
	p := program.Program{
		program.Watch(kv.All(), program.Now(0)),
		program.Resume(0, 0),
	}
	synctest.Test(t, func(t *testing.T) {
		model := program.NewModel()
		store := liar{model, changedWatch(model, func(b kv.Batch) []kv.Batch { return []kv.Batch{b, b} })}
		repeated := store.watch
		store.watch = func(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
			return func(yield func(kv.Batch, error) bool) {
				for batch, err := range repeated(ctx, r, after) {
					if !yield(batch, err) {
						return
					}
					for range 1000 {
						runtime.Gosched()
					}
					if ctx.Err() != nil {
						yield(kv.Batch{}, ctx.Err())
						return
					}
				}
			}
		}
		start, err := program.Begin(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		for step, answer := range program.Run(t.Context(), store, start, p, synctest.Wait) {
			if !strings.Contains(answer, "WRONG") {
				t.Errorf("the watch of step %d delivers everything twice, but its answer is\n%s", step, answer)
			}
		}
	})
}
