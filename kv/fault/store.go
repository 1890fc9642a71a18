package fault

import (
	"container/list"
	"context"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// Store is a [kv.Store] that fails on request, and otherwise does as the store it wraps. It is a [kv.Writer], a
// [kv.Committer] and a [kv.ProgressRequester] too; where the wrapped store is not, these methods fail with
// [kv.ErrUnsupported]. And it is a [kv.Stater] and a [kv.Acknowledger]; where the wrapped store is not, these methods do as
// [kv.Stat] and [kv.WatchAcknowledged] do. It is a [kv.SelfReader] while no fault is in force, if the wrapped store is one.
//
// All methods may be called concurrently.
type Store struct {
	store kv.Store

	mu      sync.Mutex
	rules   []*Rule    // in force, in the order they were made
	streams *list.List // of *stream: the watches that are being iterated, in the order they began
	counts  Counts
	ruled   signal // fires when a rule goes
	counted signal // fires when counts change
}

var (
	_ kv.Stater            = (*Store)(nil)
	_ kv.Acknowledger      = (*Store)(nil)
	_ kv.ProgressRequester = (*Store)(nil)
	_ kv.SelfReader        = (*Store)(nil)
	_ kv.Writer            = (*Store)(nil)
	_ kv.Committer         = (*Store)(nil)
)

// New wraps store. Without faults the wrapper is transparent: the guarantees that store gives are given
// through it, and its errors come back as they are. It has no goroutines: a watch runs in its consumer's, and is
// reached by ending the context that store's own watch was given. So Cut, Silence and EndStreams act as promptly
// as store ends a watch whose context is done (W12).
func New(store kv.Store) *Store {
	return &Store{store: store, streams: list.New()}
}

// Get is [kv.Store]'s Get of the wrapped store, with the faults that match.
func (s *Store) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	if r.Validate() != nil {
		return s.store.Get(ctx, r) // refused before it is sent, so no network can fail it
	}
	call := Call{Op: Gets, Range: r}
	return answer(ctx, s, call, func() (kv.Snapshot, error) { return s.store.Get(ctx, r) })
}

// Stat is [kv.Stat] of the wrapped store. To faults it is a Get.
func (s *Store) Stat(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	if r.Validate() != nil {
		return kv.Stat(ctx, s.store, r)
	}
	call := Call{Op: Gets, Range: r}
	return answer(ctx, s, call, func() (kv.Snapshot, error) { return kv.Stat(ctx, s.store, r) })
}

// ReadsAgain implements [kv.SelfReader]. Without faults it is that of the wrapped store. While a fault is in force it is
// false, because the wrapped store cannot look after a read that a fault keeps from it.
func (s *Store) ReadsAgain() bool {
	store, ok := kv.As[kv.SelfReader](s.store)
	return ok && s.calm() && store.ReadsAgain()
}

// RequestProgress is [kv.ProgressRequester]'s RequestProgress of the wrapped store, with the faults that match. Where the
// request is cut off it hangs, as requests do. The bookmarks come through their streams, with the faults of those.
func (s *Store) RequestProgress(ctx context.Context) error {
	call := Call{Op: Progress, Keys: []string{}}
	store, ok := s.store.(kv.ProgressRequester)
	if !ok {
		return call.failure(kv.ErrUnsupported)
	}
	_, err := answer(ctx, s, call, func() (struct{}, error) { return struct{}{}, store.RequestProgress(ctx) })
	return err
}

// Put is [kv.Writer]'s Put of the wrapped store, with the faults that match.
func (s *Store) Put(ctx context.Context, key string, value []byte, conditions ...kv.Condition) (kv.Revision, error) {
	call := Call{Op: Puts, Keys: []string{key}}
	store, ok := s.store.(kv.Writer)
	if !ok {
		return 0, call.failure(kv.ErrUnsupported)
	}
	if kv.ValidateKey(key) != nil {
		return store.Put(ctx, key, value, conditions...)
	}
	return answer(ctx, s, call, func() (kv.Revision, error) { return store.Put(ctx, key, value, conditions...) })
}

// Delete is [kv.Writer]'s Delete of the wrapped store, with the faults that match.
func (s *Store) Delete(ctx context.Context, key string, conditions ...kv.Condition) (kv.Revision, error) {
	call := Call{Op: Deletes, Keys: []string{key}}
	store, ok := s.store.(kv.Writer)
	if !ok {
		return 0, call.failure(kv.ErrUnsupported)
	}
	if kv.ValidateKey(key) != nil {
		return store.Delete(ctx, key, conditions...)
	}
	return answer(ctx, s, call, func() (kv.Revision, error) { return store.Delete(ctx, key, conditions...) })
}

// Commit is [kv.Committer]'s Commit of the wrapped store, with the faults that match.
func (s *Store) Commit(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	call := Call{Op: Commits, Keys: make([]string, len(ops))}
	for i, op := range ops {
		call.Keys[i] = op.Key
	}
	store, ok := s.store.(kv.Committer)
	if !ok {
		return 0, call.failure(kv.ErrUnsupported)
	}
	if kv.ValidateOps(ops) != nil {
		return store.Commit(ctx, ops...)
	}
	return answer(ctx, s, call, func() (kv.Revision, error) { return store.Commit(ctx, ops...) })
}

// answer takes one call through its faults to the store, and the store's answer through its faults back.
func answer[T any](ctx context.Context, s *Store, call Call, do func() (T, error)) (T, error) {
	s.count(func(c *Counts) { c.begin(call.Op) })
	var none T
	if err := s.meet(ctx, call); err != nil {
		return none, err
	}
	if err := s.gate(ctx, call); err != nil {
		return none, err
	}
	result, err := do()
	if err != nil && ctx.Err() != nil {
		return result, err // the caller has gone: there is nobody to keep the answer from
	}
	if err := s.meet(ctx, call.answered()); err != nil {
		return none, err
	}
	if err := s.gate(ctx, call.answered()); err != nil {
		return none, err
	}
	return result, err
}

// Itself returns s. Package kv uses it to tell s from a type that embeds it: see [kv.As].
func (s *Store) Itself() kv.Store { return s }
