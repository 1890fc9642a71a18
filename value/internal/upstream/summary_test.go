package upstream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value/internal/contents"
)

// place reads r, and returns the Position that a Map has after that read.
func place(t *testing.T, s kv.Store, r kv.Range) Position {
	t.Helper()
	snapshot, err := s.Get(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	subject := &Subject{Range: r, Decode: func(kv.Entry, *contents.Item) contents.Decoded { return nil }}
	return subject.Place(snapshot, &Position{}, &Position{})
}

func summarize(t *testing.T, s *memory.Store, r kv.Range, p Position) kv.Summary {
	t.Helper()
	newest := p.Contents.Newest()
	summary, err := s.Summarize(t.Context(), r, newest[0].ModRevision, len(newest)+1)
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

// There are few keys and few changes. So the number of keys of a range, or its newest entry, or both are often unchanged.
func TestASummaryProvesWhetherSomethingHasChanged(t *testing.T) {
	leaktest.Check(t)
	r := kv.Prefix("/m/")
	same, other := 0, 0
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		s := memory.New()
		change := func() {
			var ops []kv.Op
			for _, n := range random.Perm(6)[:1+random.IntN(3)] {
				key := fmt.Sprint("/m/", n)
				if n == 5 {
					key = "/elsewhere"
				}
				if random.IntN(2) == 0 {
					ops = append(ops, kv.PutOp(key, nil))
				} else {
					ops = append(ops, kv.DeleteOp(key))
				}
			}
			if _, err := s.Commit(t.Context(), ops...); err != nil {
				t.Fatal(err)
			}
		}
		for range 1 + random.IntN(6) {
			change()
		}
		was := place(t, s, r)
		if was.Contents.Len() == 0 {
			continue // few keys are read without a summary
		}
		for range random.IntN(4) {
			change()
		}
		is := place(t, s, r)
		want := len(is.Contents.Changes(was.Contents)) == 0
		if want {
			same++
		} else {
			other++
		}
		if got := was.isOf(new(summarize(t, s, r, was))); got != want {
			t.Fatalf("promised: a summary shows whether a range is unchanged: %t\nhappened: it shows %t\nagain: seed %d", want, got, seed)
		}
	}
	if same < 300 || other < 300 {
		t.Errorf("the test itself: %d ranges were unchanged and %d changed, which is too few", same, other)
	}
}

func TestASummaryFindsEachChange(t *testing.T) {
	leaktest.Check(t)
	for name, change := range map[string]func(ctx context.Context, s *memory.Store){
		"a put":                           func(ctx context.Context, s *memory.Store) { s.Put(ctx, "/m/a", nil) },
		"a put of the newest key":         func(ctx context.Context, s *memory.Store) { s.Put(ctx, "/m/c", nil) },
		"a new key":                       func(ctx context.Context, s *memory.Store) { s.Put(ctx, "/m/d", nil) },
		"a deletion":                      func(ctx context.Context, s *memory.Store) { s.Delete(ctx, "/m/a") },
		"the deletion of the newest key":  func(ctx context.Context, s *memory.Store) { s.Delete(ctx, "/m/c") },
		"a key that is deleted and made":  func(ctx context.Context, s *memory.Store) { s.Delete(ctx, "/m/a"); s.Put(ctx, "/m/a", nil) },
		"one key in the place of another": func(ctx context.Context, s *memory.Store) { s.Commit(ctx, kv.DeleteOp("/m/a"), kv.PutOp("/m/d", nil)) },
		"the newest key deleted and another made": func(ctx context.Context, s *memory.Store) {
			s.Delete(ctx, "/m/c")
			s.Put(ctx, "/m/d", nil)
		},
	} {
		s := memory.New()
		for _, key := range []string{"a", "b", "c"} {
			s.Put(t.Context(), "/m/"+key, nil)
		}
		was := place(t, s, kv.Prefix("/m/"))
		s.Put(t.Context(), "/elsewhere", nil)
		if !was.isOf(new(summarize(t, s, kv.Prefix("/m/"), was))) {
			t.Fatal("promised: a summary shows that a range is unchanged; it does not")
		}
		change(t.Context(), s)
		if was.isOf(new(summarize(t, s, kv.Prefix("/m/"), was))) {
			t.Errorf("%s: promised: a summary shows that the range has changed; it does not", name)
		}
	}
}

// The cluster was restored to a state before the newest entry, and has passed the revision that was seen last.
func TestASummaryFindsThatTheNewestEntryWasUndone(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	for _, key := range []string{"a", "b", "a"} {
		s.Put(t.Context(), "/m/"+key, nil)
	}
	backup := s.Backup()
	s.Put(t.Context(), "/m/b", nil)
	was := place(t, s, kv.Prefix("/m/"))
	if err := s.Restore(backup); err != nil {
		t.Fatal(err)
	}
	for range 9 {
		s.Put(t.Context(), "/elsewhere", nil)
	}
	if was.isOf(new(summarize(t, s, kv.Prefix("/m/"), was))) {
		t.Error("promised: if the newest entry is gone, a summary does not say that nothing has changed; it does")
	}
}

func TestAFullReadIsDueSomeTimeAfterTheWatchHasDelivered(t *testing.T) {
	one, other := contents.Empty(), contents.Empty().Replace([]*contents.Item{{Key: "/a", ModRevision: 2}})
	var w wholeRead
	if !w.isDue(one) {
		t.Error("promised: a range that was never read in full is read in full; it is not")
	}
	for _, c := range []struct {
		name string
		is   *contents.Contents
		ago  time.Duration
		due  bool
	}{
		{"nothing brought, just now", one, 0, false},
		{"nothing brought, long ago", one, 100 * wholeReadEvery, false},
		{"something brought, just now", other, wholeReadEvery / 2, false},
		{"something brought, long ago", other, wholeReadEvery, true},
	} {
		w.took(one, time.Now().Add(-c.ago))
		if got := w.isDue(c.is); got != c.due {
			t.Errorf("%s: due is %t, want %t", c.name, got, c.due)
		}
	}
}

func TestASummaryThatDoesNotFitTheNewestEntriesProvesNothing(t *testing.T) {
	items := []*contents.Item{
		{Key: "/a", CreateRevision: 2, ModRevision: 7, Version: 2}, {Key: "/b", CreateRevision: 3, ModRevision: 3, Version: 1}, {Key: "/c", CreateRevision: 4, ModRevision: 7, Version: 2},
	}
	p := Position{Revision: 9}
	p.Hold(contents.Empty().Replace(items))
	a, c := kv.Entry{Key: "/a", CreateRevision: 2, ModRevision: 7, Version: 2}, kv.Entry{Key: "/c", CreateRevision: 4, ModRevision: 7, Version: 2}
	other := c
	other.Version = 3
	for name, s := range map[string]kv.Summary{
		"older":         {Revision: 8, Count: 3, Since: []kv.Entry{a, c}},
		"of fewer keys": {Revision: 9, Count: 2, Since: []kv.Entry{a, c}},
		"one undone":    {Revision: 9, Count: 3, Since: []kv.Entry{a}},
		"another entry": {Revision: 9, Count: 3, Since: []kv.Entry{a, other}},
		"with more":     {Revision: 9, Count: 3, Since: []kv.Entry{a, c}, More: true},
	} {
		if p.isOf(&s) {
			t.Errorf("promised: a summary that is %s proves nothing; it does", name)
		}
	}
	if !p.isOf(&kv.Summary{Revision: 9, Count: 3, Since: []kv.Entry{a, c}}) {
		t.Error("promised: a summary with the newest entries and the number of keys proves that nothing has changed; it does not")
	}
}
