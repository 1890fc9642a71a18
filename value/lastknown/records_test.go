package lastknown_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
	"github.com/watchkv/watchkv/value/lastknown"
)

var _ value.LastKnown = (*lastknown.Records)(nil)

func TestEachClusterHasItsOwnRecords(t *testing.T) {
	dir, r := lastknown.NewDir(t.TempDir()), kv.Key("/a")
	here, there, unnamed := lastknown.Of(dir, []byte("here")), lastknown.Of(dir, []byte("there")), lastknown.Of(dir, nil)
	for name, records := range map[string]*lastknown.Records{"here": here, "unnamed": unnamed} {
		if _, _, err := records.Load(t.Context(), r); !errors.Is(err, kv.ErrNotFound) || !errors.Is(err, lastknown.ErrNothingSaved) {
			t.Errorf("%s: before a save, Load returned %v", name, err)
		}
	}
	want := kv.Snapshot{Revision: 9, Entries: []kv.Entry{{Key: "/a", Value: []byte("v"), CreateRevision: 3, ModRevision: 5, Version: 2}}}
	when := time.Now().Add(-time.Hour).UTC().Round(0)
	for _, save := range []struct {
		name       string
		by         *lastknown.Records
		unbelieved []*lastknown.Records
	}{
		{"here", here, []*lastknown.Records{there, unnamed}},
		{"unnamed", unnamed, []*lastknown.Records{here, there}},
	} {
		if err := save.by.Save(t.Context(), r, want, when); err != nil {
			t.Fatal(err)
		}
		got, confirmed, err := save.by.Load(t.Context(), r)
		if diff := cmp.Diff(want, got); err != nil || diff != "" || !confirmed.Equal(when) {
			t.Errorf("%s: promised: a record is loaded as it was saved, with the time %v; it has the time %v, %v (-want +got):\n%s", save.name, when, confirmed, err, diff)
		}
		for _, other := range save.unbelieved {
			if got, _, err := other.Load(t.Context(), r); !errors.Is(err, lastknown.ErrForeign) || got.Entries != nil {
				t.Errorf("%s: promised: a record of another cluster is not used; Load returned %+v, %v", save.name, got, err)
			}
		}
	}
}
