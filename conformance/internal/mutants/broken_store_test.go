package mutants

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// mutant is the memory store, wrapped so that it can be cut off, with one thing about it broken: each field of broken that is not nil
// replaces one method of the sound store.
type mutant struct {
	Store
	memory *memory.Store
	broken breakage

	turn  chan struct{}   // for take and give
	page  chan []kv.Entry // for swapPage; holds one
	known sync.Map        // what a mutation remembers

	sharing sync.Mutex // for sharedEvents

	shared *sync.Map // what mutants of the same data remember
}

// Store is the sound store of a mutant.
type Store struct{ *fault.Store }

// acknowledgedKey is a context key. Its value is a func(). [mutant.WatchAcknowledged] puts it into the context of a broken watch. The broken
// watch passes the context on to the sound watch, and the sound watch calls the func when it is acknowledged. So no broken watch has to
// know about acknowledgements.
type acknowledgedKey struct{}

func (s Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	if acknowledged, ok := ctx.Value(acknowledgedKey{}).(func()); ok {
		return s.Store.WatchAcknowledged(ctx, r, after, acknowledged)
	}
	return s.Store.Watch(ctx, r, after)
}

func newMutant(m *memory.Store, broken breakage) *mutant {
	page := make(chan []kv.Entry, 1)
	page <- nil
	return &mutant{Store: Store{fault.New(m)}, memory: m, broken: broken, turn: make(chan struct{}, 1), page: page, shared: new(sync.Map)}
}

// now is the store's revision.
func (m *mutant) now() kv.Revision {
	s, _ := m.memory.Get(context.Background(), kv.Key("any"))
	return s.Revision
}

// betweenStatements is the time between two statements to a server. It ends early when another writer has written.
func (m *mutant) betweenStatements() {
	before := m.now()
	for began := time.Now(); m.now() == before && time.Since(began) < time.Millisecond; {
		time.Sleep(10 * time.Microsecond)
	}
}

// untilAnswered is the time that the answer of a server takes.
func (m *mutant) untilAnswered() { time.Sleep(200 * time.Microsecond) }

// swapPage keeps a page, and returns the one kept before.
func (m *mutant) swapPage(page []kv.Entry) []kv.Entry {
	before := <-m.page
	m.page <- slices.Clone(page)
	return before
}

// Cut and Heal are remembered, by mutations that know what to do about them.
func (m *mutant) Cut() {
	m.known.Store("cut", true)
	m.Store.Cut()
}

func (m *mutant) Heal() {
	m.known.Delete("cut")
	m.known.Store("healed", m.now())
	m.Store.Heal()
}

// take waits until no other goroutine has the turn, until give.
func (m *mutant) take(ctx context.Context) error {
	select {
	case m.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *mutant) give() { <-m.turn }

// breakage is what is broken. Each func is called with the mutant, whose Store is the sound one.
type breakage struct {
	get    func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error)
	watch  func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error]
	put    func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error)
	delete func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error)
	commit func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error)

	compact func(m *mutant, ctx context.Context, rev kv.Revision) error

	stat        func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error)
	summarize   summarizing
	acknowledge func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error]
	progress    func(m *mutant, ctx context.Context) error
}

func (m *mutant) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	if m.broken.get != nil {
		return m.broken.get(m, ctx, r)
	}
	return m.Store.Get(ctx, r)
}

func (m *mutant) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	if m.broken.watch != nil {
		return m.broken.watch(m, ctx, r, after)
	}
	return m.Store.Watch(ctx, r, after)
}

func (m *mutant) Stat(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	switch {
	case m.broken.stat != nil:
		return m.broken.stat(m, ctx, r)
	case m.broken.get != nil:
		return kv.Stat(ctx, struct{ kv.Store }{m}, r)
	}
	return m.Store.Stat(ctx, r)
}

func (m *mutant) Summarize(ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
	switch {
	case m.broken.summarize != nil:
		return m.broken.summarize(m, ctx, r, since, limit)
	case m.broken.get != nil:
		return kv.Summarize(ctx, struct{ kv.Store }{m}, r, since, limit)
	}
	return m.Store.Summarize(ctx, r, since, limit)
}

func (m *mutant) WatchAcknowledged(ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
	if m.broken.acknowledge != nil {
		return m.broken.acknowledge(m, ctx, r, after, acknowledged)
	}
	return func(yield func(kv.Batch, error) bool) {
		var once sync.Once // a broken watch may begin several
		m.Watch(context.WithValue(ctx, acknowledgedKey{}, func() { once.Do(acknowledged) }), r, after)(yield)
	}
}

// Itself says that the abilities are the mutant's own.
func (m *mutant) Itself() kv.Store { return m }

func (m *mutant) RequestProgress(ctx context.Context) error {
	if m.broken.progress != nil {
		return m.broken.progress(m, ctx)
	}
	return m.Store.RequestProgress(ctx)
}

func (m *mutant) Put(ctx context.Context, key string, value []byte, conditions ...kv.Condition) (kv.Revision, error) {
	if m.broken.put != nil {
		return m.broken.put(m, ctx, key, value, conditions)
	}
	return m.Store.Put(ctx, key, value, conditions...)
}

func (m *mutant) Delete(ctx context.Context, key string, conditions ...kv.Condition) (kv.Revision, error) {
	if m.broken.delete != nil {
		return m.broken.delete(m, ctx, key, conditions)
	}
	return m.Store.Delete(ctx, key, conditions...)
}

func (m *mutant) Commit(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	if m.broken.commit != nil {
		return m.broken.commit(m, ctx, ops)
	}
	return m.Store.Commit(ctx, ops...)
}

// patience is how long a mutant is waited for that has gone silent.
const patience = 700 * time.Millisecond

// backendOf returns the backend of stores that are broken so.
func backendOf(broken breakage) conformance.Backend {
	type store = conformance.Store
	of := func(s store) *mutant { return s.(*mutant) }
	return conformance.Backend{
		Open: func(conformance.T) store {
			return newMutant(memory.New(), broken)
		},
		Again: func(_ conformance.T, s store) store {
			other := newMutant(of(s).memory, broken)
			other.shared = of(s).shared
			return other
		},
		Commit: true,
		Compact: func(ctx context.Context, s store, rev kv.Revision) error {
			if broken.compact != nil {
				return broken.compact(of(s), ctx, rev)
			}
			return of(s).memory.Compact(ctx, rev)
		},
		Progress: func(ctx context.Context, s store) error { return of(s).memory.RequestProgress(ctx) },
		Cut: func(_ context.Context, s store) (func(context.Context) error, error) {
			of(s).Cut()
			return func(context.Context) error { of(s).Heal(); return nil }, nil
		},
		EndStreams: func(_ context.Context, s store) error { of(s).EndStreams(kv.ErrUnavailable); return nil },
		Backup: func(_ context.Context, s store) (func(context.Context) error, error) {
			backup := of(s).memory.Backup()
			return func(context.Context) error { return of(s).memory.Restore(backup) }, nil
		},
		WaitIdle: func(_ context.Context, s store) error {
			if n := of(s).memory.Watches(); n > 0 {
				return errors.New("watches are running")
			}
			return nil
		},
		Close:    func(s store) error { return of(s).memory.Close() },
		TooLarge: 2 << 20,
		Patience: patience,
	}
}
