package mutants

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// mutant is the memory store, wrapped so that it can be cut off, with one thing about it broken: each field that is
// not nil takes the place of a method of the sound store, which it is given.
type mutant struct {
	Store
	memory *memory.Store
	broken breakage

	turn  chan struct{}   // for take and give
	page  chan []kv.Entry // for swapPage; holds one
	known sync.Map        // what a mutation remembers

	shared *sync.Map // what mutants of the same data remember
}

// Store is the sound store of a mutant.
type Store struct{ *fault.Store }

// acknowledgedKey is the key in a context of what a watch begun with it calls when it is acknowledged. So a broken watch, which
// begins the sound one with its context, can be acknowledged and need not know.
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

// betweenStatements is the time between two statements to a server: others come to their turn, until one of them has written.
func (m *mutant) betweenStatements() {
	before := m.now()
	for range 100 {
		if runtime.Gosched(); m.now() != before {
			return
		}
	}
}

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

// A suite that finds fault with a sound store is of no use to anybody.
func TestASoundStoreHoldsEverything(t *testing.T) {
	if err := conformance.Check(t.Context(), withPatience(backendOf(breakage{}))); err != nil {
		t.Error(err)
	}
}

func withPatience(b conformance.Backend) conformance.Backend {
	b.Patience = 30 * time.Second
	return b
}

// Each mutant is caught by a check of the guarantee that it breaks. go test -v shows which, in a table. With -short it is
// one of each guarantee.
func TestEveryMutantIsCaught(t *testing.T) {
	type mutantOf struct {
		mutation
		caught string // by which check
	}
	var all []*mutantOf
	tried := make(map[string]bool)
	for _, m := range mutants {
		if !testing.Short() || !tried[m.guarantee] {
			tried[m.guarantee] = true
			all = append(all, &mutantOf{mutation: m})
		}
	}
	// They wait more than they work, so that more can run at once than there are processors. Not so many that one
	// passes for silent that is only slow.
	const atOnce = 6
	turns := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for _, m := range all {
		running.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			for _, path := range checksOf(m.guarantee) {
				if broken, _ := checkWith(t.Context(), backendOf(m.broken), m.mutation, path); broken != nil {
					m.caught = path
					return
				}
			}
		})
	}
	running.Wait()
	var table strings.Builder
	columns := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	for _, m := range all {
		fmt.Fprintf(columns, "%s\t%s\t%s\n", m.guarantee, m.name, m.caught)
		t.Run(m.guarantee+"/"+m.name, func(t *testing.T) {
			if m.caught == "" {
				t.Errorf("a store, Value or Map that %s passes the checks of %s", strings.ReplaceAll(m.name, "-", " "), m.guarantee)
			}
		})
	}
	columns.Flush()
	t.Logf("%d mutants: the guarantee that each breaks, what it does, and the check that caught it:\n%s", len(all), &table)
}

// A store whose watches never run out of batches must not keep the suite from its report.
func TestAWatchThatRepeatsItselfEndsEachCheck(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var running sync.WaitGroup
	for _, g := range guarantees() {
		if !strings.HasPrefix(g, "W") {
			continue
		}
		running.Go(func() {
			for _, path := range checksOf(g) {
				broken, err := checkWith(ctx, withPatience(backendOf(repeating)), mutation{}, path)
				if err != nil || strings.Contains(strings.Join(broken, "\n"), "hangs") {
					t.Errorf("%s, of a store whose watches deliver their first events for ever: %q, %v", path, broken, err)
				}
			}
		})
	}
	running.Wait()
}

// Every guarantee has a mutant: without one, nothing shows that its checks can fail.
func TestEveryGuaranteeHasAMutant(t *testing.T) {
	has := make(map[string]bool)
	for _, m := range mutants {
		has[m.guarantee] = true
	}
	for _, g := range guarantees() {
		if !has[g] {
			t.Errorf("no mutant breaks %s", g)
		}
	}
}
