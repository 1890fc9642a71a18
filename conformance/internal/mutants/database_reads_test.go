package mutants

import (
	"context"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// databaseReadMutants get wrong what is not etcd: other databases, caches, and clients of the author's own. They break
// what a Get promises, and entries, events and bytes (S1 to S6).
var databaseReadMutants = []mutation{
	{guarantee: "S1", name: "reads-a-cache-that-commits-do-not-clear", broken: breakage{
		get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			if c, ok := m.shared.Load(r); ok && ctx.Err() == nil {
				s := c.(kv.Snapshot)
				s.Entries = slices.Clone(s.Entries)
				return s, nil
			}
			s, err := m.Store.Get(ctx, r)
			if err == nil {
				c := s
				c.Entries = slices.Clone(s.Entries)
				m.shared.Store(r, c)
			}
			return s, err
		},
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			rev, err := m.Store.Put(ctx, key, value, conditions...)
			m.shared.Clear()
			return rev, err
		},
		delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
			rev, err := m.Store.Delete(ctx, key, conditions...)
			m.shared.Clear()
			return rev, err
		},
	}},
	{guarantee: "S1", name: "answers-from-before-the-cut-just-after-it", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		if _, healed := m.known.LoadAndDelete("healed"); healed {
			if c, ok := m.known.Load(r); ok {
				return c.(kv.Snapshot), nil
			}
		}
		c := s
		c.Entries = slices.Clone(s.Entries)
		m.known.Store(r, c)
		return s, err
	}}},
	{guarantee: "S1", name: "answers-from-memory-while-cut-off", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		if _, cut := m.known.Load("cut"); cut {
			if c, ok := m.known.Load(r); ok {
				return c.(kv.Snapshot), nil
			}
		}
		s, err := m.Store.Get(ctx, r)
		c := s
		c.Entries = slices.Clone(s.Entries)
		m.known.Store(r, c)
		return s, err
	}}},
	{guarantee: "S2", name: "says-the-newest-ModRevision-that-it-read", broken: breakage{get: got(func(_ *mutant, _ kv.Range, s *kv.Snapshot) {
		if len(s.Entries) > 0 {
			s.Revision = 0
			for _, e := range s.Entries {
				s.Revision = max(s.Revision, e.ModRevision)
			}
		}
	})}},
	{guarantee: "S2", name: "reads-the-revision-in-a-second-statement", broken: breakage{get: got(func(m *mutant, _ kv.Range, s *kv.Snapshot) {
		m.betweenStatements()
		s.Revision = m.now()
	})}},
	{guarantee: "S2", name: "selects-a-prefix-with-LIKE", broken: patterned(like)},
	{guarantee: "S2", name: "begins-a-page-behind-all-that-begins-with-the-last-key", broken: breakage{get: got(func(_ *mutant, _ kv.Range, s *kv.Snapshot) {
		for i := 99; i < len(s.Entries); i += 100 {
			last := s.Entries[i].Key
			n := i + 1
			for n < len(s.Entries) && strings.HasPrefix(s.Entries[n].Key, last) {
				n++
			}
			s.Entries = slices.Delete(s.Entries, i+1, n)
		}
	})}},
	{guarantee: "S3", name: "does-not-know-the-CreateRevision-of-a-single-key", broken: breakage{get: got(func(_ *mutant, r kv.Range, s *kv.Snapshot) {
		if single(r) {
			for i := range s.Entries {
				s.Entries[i].CreateRevision = s.Entries[i].ModRevision
			}
		}
	})}},
	{guarantee: "S3", name: "leaves-the-CreateRevision-out-of-live-events", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		began := m.now()
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			for i := range b.Events {
				if e := &b.Events[i]; e.ModRevision > began && e.Type == kv.EventPut {
					e.CreateRevision = e.ModRevision
				}
			}
			return []kv.Batch{b}
		})(m, ctx, r, after)
	}}},
	{guarantee: "S3", name: "gives-the-events-of-a-commit-the-version-before", broken: breakage{watch: change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		of := make(map[kv.Revision]int)
		for _, e := range b.Events {
			of[e.ModRevision]++
		}
		for i := range b.Events {
			if e := &b.Events[i]; of[e.ModRevision] > 1 && e.Version > 1 {
				e.Version--
			}
		}
		return []kv.Batch{b}
	})}},
	{guarantee: "S3", name: "gives-live-deletions-the-value-before", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		last := make(map[string][]byte)
		began := m.now()
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			for i := range b.Events {
				e := &b.Events[i]
				if e.Type == kv.EventDelete && e.ModRevision > began {
					e.Value = last[e.Key]
				}
				last[e.Key] = slices.Clone(e.Value)
			}
			return []kv.Batch{b}
		})(m, ctx, r, after)
	}}},
	{guarantee: "S5", name: "cuts-batches-out-of-one-array", broken: breakage{watch: change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		var pieces []kv.Batch
		events := b.Events
		for len(events) > 0 {
			n := 0
			for n < len(events) && events[n].ModRevision == events[0].ModRevision {
				n++
			}
			pieces = append(pieces, kv.Batch{Revision: events[0].ModRevision, Events: events[:n]})
			events = events[n:]
		}
		if pieces == nil {
			return []kv.Batch{b}
		}
		return pieces
	})}},
	{guarantee: "S5", name: "reuses-the-array-of-the-batch-before", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			var array [4096]kv.Event
			for b, err := range m.Store.Watch(ctx, r, after) {
				if len(b.Events) < len(array) {
					b.Events = append(array[:0], b.Events...)
				}
				if !yield(b, err) {
					return
				}
			}
		}
	}}},
	{guarantee: "S6", name: "unescapes-keys", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			return m.Store.Put(ctx, unescaped(key), value, conditions...)
		},
		delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
			return m.Store.Delete(ctx, unescaped(key), conditions...)
		},
	}},
	{guarantee: "S6", name: "composes-letters-of-keys", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		return m.Store.Put(ctx, strings.ReplaceAll(key, "e\u0301", "\u00e9"), value, conditions...)
	}}},
	{guarantee: "S6", name: "delivers-nothing-of-a-single-key-that-is-long", broken: breakage{watch: only(func(r kv.Range) bool {
		key, ok := r.Key()
		return ok && len(key) > 255
	}, func(_ *mutant, ctx context.Context, _ kv.Range, _ kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) { silent(ctx, yield) }
	})}},
	{guarantee: "S6", name: "takes-a-megabyte-of-key-and-value-together", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		if len(key)+len(value) > 1<<20+512 {
			return 0, &kv.OpError{Store: "mutant", Op: "put " + key, Reason: kv.ErrTooLarge}
		}
		return m.Store.Put(ctx, key, value, conditions...)
	}}},
	{guarantee: "S6", name: "reads-values-with-a-backslash-as-escaped", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		return m.Store.Put(ctx, key, []byte(strings.ReplaceAll(string(value), `\\`, `\`)), conditions...)
	}}},
	{guarantee: "S6", name: "takes-the-deletion-of-the-empty-key-in-a-commit", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		return m.Store.Commit(ctx, slices.DeleteFunc(slices.Clone(ops), func(op kv.Op) bool { return op.Type == kv.EventDelete && op.Key == "" })...)
	}}},
}

func got(f func(m *mutant, r kv.Range, s *kv.Snapshot)) func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	return func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		if err == nil {
			f(m, r, &s)
		}
		return s, err
	}
}

// patterned selects a prefix by a pattern that it makes a regular expression of.
func patterned(expression func(prefix string) string) breakage {
	matcher := func(r kv.Range) (func(string) bool, bool) {
		p, ok := r.Prefix()
		if !ok {
			return nil, false
		}
		re, err := regexp.Compile(`(?s)^` + expression(p) + `.*$`)
		if err != nil || !strings.ContainsAny(p, `_%*?[.`) {
			return nil, false
		}
		return re.MatchString, true
	}
	return breakage{
		get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			match, ok := matcher(r)
			if !ok {
				return m.Store.Get(ctx, r)
			}
			s, err := m.Store.Get(ctx, kv.All())
			s.Entries = slices.DeleteFunc(s.Entries, func(e kv.Entry) bool { return !match(e.Key) })
			return s, err
		},
		watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
			match, ok := matcher(r)
			if !ok {
				return m.Store.Watch(ctx, r, after)
			}
			return without(func(e kv.Event) bool { return !match(e.Key) })(m, ctx, kv.All(), after)
		},
	}
}

func like(p string) string {
	return strings.NewReplacer("%", ".*", "_", ".").Replace(regexp.QuoteMeta(p))
}

func glob(p string) string {
	return strings.NewReplacer(`\*`, ".*", `\?`, ".", `\[`, "[", `\]`, "]").Replace(regexp.QuoteMeta(p))
}

func unescaped(key string) string {
	if u, err := url.PathUnescape(key); err == nil {
		return u
	}
	return key
}

func single(r kv.Range) bool { _, ok := r.Key(); return ok }

// only applies a broken watch to some ranges.
func only(of func(r kv.Range) bool, broken watchFunc) watchFunc {
	return func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		if of(r) {
			return broken(m, ctx, r, after)
		}
		return m.Store.Watch(ctx, r, after)
	}
}
