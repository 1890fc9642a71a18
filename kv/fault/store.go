package fault

import (
	"container/list"
	"context"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// Store is a [kv.Store] that fails on request. Otherwise it does what the wrapped store does. It is a [kv.Writer], a
// [kv.Committer] and a [kv.ProgressRequester]. If the wrapped store is not, these methods fail with [kv.ErrUnsupported]. It
// is a [kv.Stater], a [kv.Summarizer] and a [kv.Acknowledger]. If the wrapped store is not, these methods do what [kv.Stat],
// [kv.Summarize] and [kv.WatchAcknowledged] do. While no fault is in force, it is a [kv.SelfReader] if the wrapped store is one.
//
// All methods may be called concurrently.
type Store struct {
	store kv.Store

	mu      sync.Mutex
	rules   []*Rule    // in force, in the order in which they were made
	streams *list.List // of *stream: the watches that are being iterated, in the order in which they began
	counts  Counts
	ruled   signal // fires when a rule is removed
	counted signal // fires when counts change
}

var (
	_ kv.Stater            = (*Store)(nil)
	_ kv.Summarizer        = (*Store)(nil)
	_ kv.Acknowledger      = (*Store)(nil)
	_ kv.ProgressRequester = (*Store)(nil)
	_ kv.SelfReader        = (*Store)(nil)
	_ kv.Writer            = (*Store)(nil)
	_ kv.Committer         = (*Store)(nil)
)

// New wraps store. Without faults the wrapper is transparent: it keeps the guarantees that store keeps, and returns its
// errors unchanged. It has no goroutines. A watch runs in its consumer's goroutine; to interrupt it, the wrapper ends the
// context of the wrapped store's watch. So Cut, Silence and EndStreams act as promptly as store ends a watch whose context
// is done (W12).
func New(store kv.Store) *Store {
	return &Store{store: store, streams: list.New()}
}

// Get calls the wrapped store's Get, with the faults that match.
func (s *Store) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	if r.Validate() != nil {
		return s.store.Get(ctx, r) // refused before it is sent, so no network can fail it
	}
	call := Call{Op: Gets, Range: r}
	return answer(ctx, s, call, func() (kv.Snapshot, error) { return s.store.Get(ctx, r) })
}

// Stat calls [kv.Stat] of the wrapped store, with the faults that match. For faults it is a Get.
func (s *Store) Stat(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	if r.Validate() != nil {
		return kv.Stat(ctx, s.store, r)
	}
	call := Call{Op: Gets, Range: r}
	return answer(ctx, s, call, func() (kv.Snapshot, error) { return kv.Stat(ctx, s.store, r) })
}

// Summarize calls [kv.Summarize] of the wrapped store, with the faults that match. For faults it is a Get.
func (s *Store) Summarize(ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
	if r.Validate() != nil {
		return kv.Summarize(ctx, s.store, r, since, limit)
	}
	call := Call{Op: Gets, Range: r}
	return answer(ctx, s, call, func() (kv.Summary, error) { return kv.Summarize(ctx, s.store, r, since, limit) })
}

// ReadsAgain implements [kv.SelfReader]. Without faults, the wrapped store answers. While a fault is in force, it returns
// false, because the wrapped store cannot look after a read that a fault holds back.
func (s *Store) ReadsAgain() bool {
	store, ok := kv.As[kv.SelfReader](s.store)
	return ok && s.calm() && store.ReadsAgain()
}

// RequestProgress calls the wrapped store's RequestProgress, with the faults that match. A request that is cut off hangs, as
// other requests do. The bookmarks come through their streams, with the faults of those streams.
func (s *Store) RequestProgress(ctx context.Context) error {
	call := Call{Op: Progress, Keys: []string{}}
	store, ok := kv.As[kv.ProgressRequester](s.store)
	if !ok {
		return call.failure(kv.ErrUnsupported)
	}
	_, err := answer(ctx, s, call, func() (struct{}, error) { return struct{}{}, store.RequestProgress(ctx) })
	return err
}

// Put calls the wrapped store's Put, with the faults that match.
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

// Delete calls the wrapped store's Delete, with the faults that match.
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

// Commit calls the wrapped store's Commit, with the faults that match.
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

// answer takes a call through its faults to the store, and the answer through its faults back to the caller.
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
		return result, err // the caller has given up, so the answer is not needed
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
