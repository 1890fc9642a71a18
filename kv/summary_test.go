package kv_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchkv/watchkv/kv"
)

// several is a store without any optional ability, which holds entries that were put at revisions 3 to 9.
type several struct{ plain }

func (*several) Get(context.Context, kv.Range) (kv.Snapshot, error) {
	s := kv.Snapshot{Revision: 12}
	for i, key := range []string{"a", "b", "c", "d"} {
		s.Entries = append(s.Entries, kv.Entry{Key: key, Value: []byte("v"), CreateRevision: 2, ModRevision: kv.Revision(9 - 2*i), Version: 1})
	}
	return s, nil
}

func TestASummaryHasTheNumberOfKeysAndTheKeysPutSince(t *testing.T) {
	a := kv.Entry{Key: "a", CreateRevision: 2, ModRevision: 9, Version: 1}
	b := kv.Entry{Key: "b", CreateRevision: 2, ModRevision: 7, Version: 1}
	for _, test := range []struct {
		since kv.Revision
		limit int
		want  kv.Summary
	}{
		{10, 5, kv.Summary{Revision: 12, Count: 4}},
		{9, 5, kv.Summary{Revision: 12, Count: 4, Since: []kv.Entry{a}}},
		{8, 1, kv.Summary{Revision: 12, Count: 4, Since: []kv.Entry{a}}},
		{7, 2, kv.Summary{Revision: 12, Count: 4, Since: []kv.Entry{a, b}}},
		{7, 1, kv.Summary{Revision: 12, Count: 4, Since: []kv.Entry{a}, More: true}},
		{0, 0, kv.Summary{Revision: 12, Count: 4, Since: []kv.Entry{a}, More: true}},
	} {
		got, err := kv.Summarize(t.Context(), new(several), kv.All(), test.since, test.limit)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("since %d, at most %d: %v (-want +got):\n%s", test.since, test.limit, err, diff)
		}
	}
}

type summarizing struct{ several }

func (s *summarizing) Summarize(context.Context, kv.Range, kv.Revision, int) (kv.Summary, error) {
	return kv.Summary{Revision: 99}, nil
}

func (s *summarizing) Itself() kv.Store { return s }

func TestAStoresOwnSummaryIsUsed(t *testing.T) {
	if got, err := kv.Summarize(t.Context(), new(summarizing), kv.All(), 1, 1); err != nil || got.Revision != 99 {
		t.Errorf("promised: the store is asked if it is a Summarizer; Summarize returned %+v, %v", got, err)
	}
}
