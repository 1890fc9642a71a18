package program

import (
	"context"
	"errors"
	"fmt"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

// InMemory is a [Store] in memory.
type InMemory struct{ *memory.Store }

// Compact implements [Store].
func (s InMemory) Compact(ctx context.Context, at kv.Revision) error {
	err := s.Store.Compact(ctx, at)
	if errors.Is(err, memory.ErrFutureRevision) {
		return fmt.Errorf("%w: %w", ErrFuture, err)
	}
	return err
}

// NewInMemory returns a new store in memory.
func NewInMemory() Store { return InMemory{memory.New()} }

// RunInBubble runs p on a new store that needs only memory, in a new bubble. There, a watch that does not deliver what is due is found at once.
func RunInBubble(t *rapid.T, newStore func() Store, p Program) Answers {
	var answers Answers
	rapid.SyncTest(t, func(t *rapid.T) {
		store := newStore()
		start, err := Begin(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		answers = Run(t.Context(), store, start, p, synctest.Wait)
	})
	return answers
}
