package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

// model is a store that is obviously correct: a list of all changes.
type model struct {
	revision, compacted kv.Revision
	lost                kv.Revision // the newest revision of any history that a restore replaced
	events              events.List
}

func (m *model) get(r kv.Range) kv.Snapshot {
	return kv.Snapshot{Revision: m.revision, Entries: events.Sorted(m.events.In(r).Entries())}
}

func (m *model) commit(ops []kv.Op) (kv.Revision, error) {
	before := m.events.Entries()
	for _, op := range ops {
		for _, c := range op.Conditions {
			if !c.Holds(before[op.Key].ModRevision) {
				return 0, kv.ErrConflict
			}
		}
	}
	if made := events.Written(before, m.revision+1, ops...); len(made) > 0 {
		m.events = append(m.events, made...)
		m.revision++
	}
	return m.revision, nil
}

func (m *model) compact(revision kv.Revision) error {
	switch {
	case revision <= m.compacted:
		return kv.ErrCompacted
	case revision > m.revision:
		return memory.ErrFutureRevision
	}
	m.compacted = revision
	return nil
}

// watch returns the events that a watch must deliver, or the error that it must end with.
func (m *model) watch(r kv.Range, after kv.Revision) (missed events.List, end error) {
	switch {
	case after+1 < m.compacted:
		return nil, kv.ErrCompacted
	case after > m.revision && after <= m.lost:
		return nil, kv.ErrReset
	}
	return m.events.After(after).In(r), nil
}

func (m *model) copy() model {
	c := *m
	c.events = slices.Clone(m.events)
	return c
}

func TestStoreAnswersAsTheModel(t *testing.T) {
	leaktest.Check(t)
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) { compareWithModel(t) })
	})
}

// running is a watch that runs during the program, and the events that it must have delivered.
type running struct {
	r      kv.Range
	from   kv.Revision
	cancel context.CancelFunc
	events events.List
	want   events.List
	err    error
}

func compareWithModel(t *rapid.T) {
	s, m := memory.New(), &model{revision: 1, compacted: -1}
	var backups []*memory.Backup
	var states []model
	var watches []*running
	ctx := context.Background()

	keys := rapid.SampledFrom([]string{"a", "a\x00", "a\xff", "aa", "ab", "b", "\xff", "\xff\xff"})
	value := rapid.SampledFrom([][]byte{nil, []byte("x"), []byte("y")})
	ranges := rapid.Custom(func(t *rapid.T) kv.Range {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return kv.All()
		case 1:
			return kv.Key(keys.Draw(t, "key"))
		case 2:
			return kv.Prefix(keys.Draw(t, "prefix"))
		}
		from, to := keys.Draw(t, "from"), keys.Draw(t, "to")
		if from >= to {
			from = ""
		}
		return kv.Interval(from, to)
	})
	revisions := func(t *rapid.T) kv.Revision {
		return kv.Revision(rapid.Int64Range(0, int64(m.revision)+3).Draw(t, "revision"))
	}
	conditions := func(t *rapid.T, key string) []kv.Condition {
		switch rapid.IntRange(0, 4).Draw(t, "condition") {
		case 0:
			return []kv.Condition{kv.IfRevision(revisions(t))}
		case 1:
			return []kv.Condition{kv.IfAbsent()}
		}
		return nil
	}
	op := func(t *rapid.T) kv.Op {
		key := keys.Draw(t, "key")
		if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
			return kv.DeleteOp(key, conditions(t, key)...)
		}
		return kv.PutOp(key, value.Draw(t, "value"), conditions(t, key)...)
	}
	same := func(t *rapid.T, what string, rev kv.Revision, err error, wantRev kv.Revision, want error) {
		if rev != wantRev || !errors.Is(err, want) {
			t.Fatalf("%s returned %d, %v, want %d, %v", what, rev, err, wantRev, want)
		}
	}
	start := func(r kv.Range, after kv.Revision) *running {
		ctx, cancel := context.WithCancel(ctx)
		w := &running{r: r, from: after + 1, cancel: cancel}
		go func() {
			for batch, err := range s.Watch(ctx, r, after) {
				w.events = append(w.events, batch.Events...)
				w.err = err
			}
		}()
		synctest.Wait()
		return w
	}
	write := func(t *rapid.T, what string, ops []kv.Op, do func() (kv.Revision, error)) {
		n := len(m.events)
		want, wantErr := m.commit(ops)
		rev, err := do()
		same(t, what, rev, err, want, wantErr)
		for _, w := range watches {
			w.want = append(w.want, m.events[n:].After(w.from-1).In(w.r)...)
		}
	}
	stopAll := func(t *rapid.T, want error) {
		synctest.Wait()
		for _, w := range watches {
			if !errors.Is(w.err, want) {
				t.Fatalf("a watch of %v from %d ended with %v, want %v", w.r, w.from, w.err, want)
			}
			w.cancel()
		}
		watches = nil
	}

	t.Repeat(map[string]func(*rapid.T){
		"": func(t *rapid.T) {
			r := ranges.Draw(t, "checked range")
			got, err := s.Get(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(m.get(r), got); d != "" {
				t.Fatalf("get %v, -want +got:\n%s", r, d)
			}
			synctest.Wait()
			for _, w := range watches {
				if d := cmp.Diff(w.want, w.events); d != "" || w.err != nil {
					t.Fatalf("the watch of %v from %d (%v), -want +got:\n%s", w.r, w.from, w.err, d)
				}
			}
		},
		"write": func(t *rapid.T) {
			o := op(t)
			write(t, fmt.Sprintf("%v %q", o.Type, o.Key), []kv.Op{o}, func() (kv.Revision, error) {
				if o.Type == kv.EventDelete {
					return s.Delete(ctx, o.Key, o.Conditions...)
				}
				return s.Put(ctx, o.Key, o.Value, o.Conditions...)
			})
		},
		"commit": func(t *rapid.T) {
			var ops []kv.Op
			for range rapid.IntRange(0, 4).Draw(t, "ops") {
				o := op(t)
				if !slices.ContainsFunc(ops, func(other kv.Op) bool { return other.Key == o.Key }) {
					ops = append(ops, o)
				}
			}
			write(t, "commit", ops, func() (kv.Revision, error) { return s.Commit(ctx, ops...) })
		},
		"compact": func(t *rapid.T) {
			rev := revisions(t)
			same(t, "compact", 0, s.Compact(ctx, rev), 0, m.compact(rev))
		},
		"history": func(t *rapid.T) {
			r, after := ranges.Draw(t, "range"), revisions(t)
			want, end := m.watch(r, after)
			w := start(r, after)
			defer w.cancel()
			if d := cmp.Diff(want, w.events); d != "" {
				t.Fatalf("history of %v after %d, -want +got:\n%s", r, after, d)
			}
			if !errors.Is(w.err, end) {
				t.Fatalf("history of %v after %d ended with %v, want %v", r, after, w.err, end)
			}
		},
		"watch": func(t *rapid.T) {
			r, after := ranges.Draw(t, "range"), revisions(t)
			want, end := m.watch(r, after)
			if end != nil {
				t.Skip(end)
			}
			w := start(r, after)
			w.want = want
			watches = append(watches, w)
		},
		"progress": func(t *rapid.T) { same(t, "progress", 0, s.RequestProgress(ctx), 0, nil) },
		"backup": func(t *rapid.T) {
			backups, states = append(backups, s.Backup()), append(states, m.copy())
		},
		"restore": func(t *rapid.T) {
			if len(backups) == 0 {
				t.Skip("no backup")
			}
			i := rapid.IntRange(0, len(backups)-1).Draw(t, "backup")
			same(t, "restore", 0, s.Restore(backups[i]), 0, nil)
			lost := max(m.lost, m.revision)
			*m = states[i].copy()
			m.lost = lost
			stopAll(t, kv.ErrReset)
		},
	})
	s.Close()
	stopAll(t, kv.ErrClosed)
}
