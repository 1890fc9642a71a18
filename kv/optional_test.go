package kv_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/watchkv/watchkv/kv"
)

// plain is a store without any optional ability.
type plain struct{ calls []string }

func (p *plain) Get(context.Context, kv.Range) (kv.Snapshot, error) {
	p.calls = append(p.calls, "Get")
	return kv.Snapshot{Revision: 7, Entries: []kv.Entry{{Key: "k", Value: []byte("v"), ModRevision: 7}}}, nil
}

func (p *plain) Watch(context.Context, kv.Range, kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		p.calls = append(p.calls, "Watch")
		yield(kv.Batch{Revision: 8}, nil)
	}
}

// able is a store with all optional abilities.
type able struct{ plain }

func (a *able) Stat(context.Context, kv.Range) (kv.Snapshot, error) {
	a.calls = append(a.calls, "Stat")
	return kv.Snapshot{Revision: 7, Entries: []kv.Entry{{Key: "k", ModRevision: 7}}}, nil
}

func (a *able) WatchAcknowledged(_ context.Context, _ kv.Range, _ kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		a.calls = append(a.calls, "WatchAcknowledged")
		acknowledged()
		yield(kv.Batch{Revision: 8}, nil)
	}
}

func (a *able) RequestProgress(context.Context) error {
	a.calls = append(a.calls, "RequestProgress")
	return nil
}

func TestAnOptionalAbilityIsUsedIfTheStoreHasIt(t *testing.T) {
	simple, rich := new(plain), new(able)
	for _, test := range []struct {
		store     kv.Store
		calls     *[]string
		stat      string
		watch     string
		progress  string
		supported bool
	}{
		{simple, &simple.calls, "Get", "Watch", "", false},
		{rich, &rich.calls, "Stat", "WatchAcknowledged", "RequestProgress", true},
	} {
		last := func() string {
			if n := len(*test.calls); n > 0 {
				return (*test.calls)[n-1]
			}
			return ""
		}
		snapshot, err := kv.Stat(t.Context(), test.store, kv.Key("k"))
		if err != nil || last() != test.stat || len(snapshot.Entries) != 1 || snapshot.Entries[0].Value != nil || snapshot.Revision != 7 {
			t.Errorf("%T: Stat called %s and returned %+v, %v; want a call of %s, and the entry without its value", test.store, last(), snapshot, err, test.stat)
		}
		acknowledged := 0
		for batch, err := range kv.WatchAcknowledged(t.Context(), test.store, kv.Key("k"), 7, func() { acknowledged++ }) {
			if err != nil || batch.Revision != 8 || acknowledged != 1 {
				t.Errorf("%T: the watch yielded %+v, %v after %d acknowledgements, want revision 8 after one", test.store, batch, err, acknowledged)
			}
		}
		if last() != test.watch {
			t.Errorf("%T: WatchAcknowledged called %s, want %s", test.store, last(), test.watch)
		}
		*test.calls = nil
		err = kv.RequestProgress(t.Context(), test.store)
		if last() != test.progress || test.supported != (err == nil) || !test.supported && !errors.Is(err, kv.ErrUnsupported) {
			t.Errorf("%T: RequestProgress called %q and returned %v", test.store, last(), err)
		}
	}
}

func (a *able) ReadsAgain() bool { return true }

func (a *able) Itself() kv.Store { return a }

// outer embeds a store with all optional abilities, and declares what a store must have.
type outer struct {
	*able
	own *plain
}

func (o outer) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) { return o.own.Get(ctx, r) }

func (o outer) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return o.own.Watch(ctx, r, after)
}

// ownUp is outer, with the inherited abilities declared as its own. It cannot be compared with ==.
type ownUp struct {
	outer
	_ []int
}

func (o ownUp) Itself() kv.Store { return o }

func TestAnInheritedAbilityIsNotUsedUnlessTheStoreDeclaresIt(t *testing.T) {
	use := func(s kv.Store) (supported bool) {
		kv.Stat(t.Context(), s, kv.Key("k"))
		for range kv.WatchAcknowledged(t.Context(), s, kv.Key("k"), 7, func() {}) {
		}
		err := kv.RequestProgress(t.Context(), s)
		if err != nil && !errors.Is(err, kv.ErrUnsupported) {
			t.Errorf("RequestProgress returned %v", err)
		}
		_, again := kv.As[kv.SelfReader](s)
		if again != (err == nil) {
			t.Errorf("promised: all abilities are found in one way; reading again is found: %t, progress: %t", again, err == nil)
		}
		return again
	}
	o := outer{new(able), new(plain)}
	if use(o) || len(o.able.calls) != 0 || !slices.Equal(o.own.calls, []string{"Get", "Watch"}) {
		t.Errorf("promised: only the methods that a store declares itself are called; called were %v, and of the embedded store %v", o.own.calls, o.able.calls)
	}
	o = outer{new(able), new(plain)}
	if !use(ownUp{outer: o}) || len(o.own.calls) != 0 || !slices.Equal(o.able.calls, []string{"Stat", "WatchAcknowledged", "RequestProgress"}) {
		t.Errorf("promised: abilities that a store declares its own are used; called were %v, and of the embedded store %v", o.own.calls, o.able.calls)
	}
}
