package kv_test

import (
	"context"
	"errors"
	"iter"
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

func TestAnOptionalAbilityIsUsedWhereThereIsOne(t *testing.T) {
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
