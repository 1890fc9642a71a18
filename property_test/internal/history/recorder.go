package history

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// A Recorder notes the operations of any number of clients. It may be used concurrently.
type Recorder struct {
	began time.Time

	mu  sync.Mutex
	ops []Operation
}

// NewRecorder returns an empty Recorder.
func NewRecorder() *Recorder { return &Recorder{began: time.Now()} }

// Operations returns the operations that were noted, in no particular order.
func (r *Recorder) Operations() []Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Operation(nil), r.ops...)
}

// Store is what can be recorded.
type Store interface {
	kv.Store
	kv.Committer
}

// Get reads as the given client.
func (r *Recorder) Get(ctx context.Context, store Store, client int, keys kv.Range) (kv.Snapshot, error) {
	o := Operation{Client: client, Range: keys, Call: time.Since(r.began)}
	got, err := store.Get(ctx, keys)
	o.Return = time.Since(r.began)
	if err != nil {
		return kv.Snapshot{}, err // a failed read proves nothing
	}
	o.Revision, o.Entries = got.Revision, got.Entries
	r.note(o)
	return got, nil
}

// Commit writes as the given client. The values of all puts, of all clients, must differ from one another.
func (r *Recorder) Commit(ctx context.Context, store Store, client int, writes ...kv.Op) (kv.Revision, error) {
	o := Operation{Client: client, Writes: writes, Call: time.Since(r.began)}
	rev, err := store.Commit(ctx, writes...)
	o.Return = time.Since(r.began)
	o.Revision = rev
	switch {
	case errors.Is(err, kv.ErrConflict):
		o.Outcome = Conflict
	case err != nil:
		o.Outcome = Unknown
	}
	r.note(o)
	return rev, err
}

func (r *Recorder) note(o Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, o)
}
