package mutants

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// cornerMutants are stores that are right in all but a corner: when a page is just full, when calls overlap, or when a value is empty, a
// number large or a commit long.
var cornerMutants = []mutation{
	{guarantee: "S1", name: "joins-a-get-that-is-under-way", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		if err := cmp.Or(r.Validate(), ctx.Err()); err != nil {
			return m.Store.Get(ctx, r)
		}
		own := &flight{done: make(chan struct{})}
		if other, joined := m.known.LoadOrStore(r, own); joined {
			f := other.(*flight)
			<-f.done
			return clone(f.snapshot), f.err
		}
		own.snapshot, own.err = m.Store.Get(ctx, r)
		m.betweenStatements()
		m.untilAnswered()
		m.known.Delete(r)
		close(own.done)
		return clone(own.snapshot), own.err
	}}},
	{guarantee: "S1", name: "gets-from-two-replicas-in-turns", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			if before, err := m.Store.Get(ctx, kv.All()); err == nil {
				m.shared.Store("behind", before)
			}
			defer m.shared.Delete("behind")
			rev, err := m.Store.Put(ctx, key, value, conditions...)
			m.betweenStatements()
			return rev, err
		},
		get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			s, err := m.Store.Get(ctx, r)
			if _, swapped := m.known.LoadOrStore("turn", true); swapped {
				m.known.Delete("turn")
				return s, err
			}
			if behind, ok := m.shared.Load("behind"); ok && err == nil {
				s = clone(behind.(kv.Snapshot))
				s.Entries = slices.DeleteFunc(s.Entries, func(e kv.Entry) bool { return !r.Contains(e.Key) })
			}
			return s, err
		},
	}},
	{guarantee: "S1", name: "remembers-that-a-key-is-absent-until-it-writes-it-itself", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			m.known.Delete(kv.Key(key))
			return m.Store.Put(ctx, key, value, conditions...)
		},
		get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			if s, ok := m.known.LoadAndDelete(r); ok && ctx.Err() == nil {
				return s.(kv.Snapshot), nil
			}
			s, err := m.Store.Get(ctx, r)
			if err == nil && s.Entries == nil && single(r) {
				m.known.Store(r, s)
			}
			return s, err
		},
	}},

	{guarantee: "S2", name: "stops-at-5000-keys", broken: breakage{get: got(func(_ *mutant, _ kv.Range, s *kv.Snapshot) {
		s.Entries = s.Entries[:min(len(s.Entries), 5000)]
	})}},
	{guarantee: "S2", name: "loses-the-one-key-behind-a-full-page", broken: breakage{get: got(func(_ *mutant, _ kv.Range, s *kv.Snapshot) {
		if n := len(s.Entries); n > 256 && n%256 == 1 {
			s.Entries = s.Entries[:n-1]
		}
	})}},
	{guarantee: "S2", name: "loses-the-last-key-of-the-last-page-if-that-is-full", broken: breakage{get: got(func(_ *mutant, _ kv.Range, s *kv.Snapshot) {
		if n := len(s.Entries); n > 50 && n%50 == 0 {
			s.Entries = s.Entries[:n-1]
		}
	})}},
	{guarantee: "S2", name: "begins-a-page-at-the-last-key-with-a-space-behind", broken: breakage{get: got(func(_ *mutant, _ kv.Range, s *kv.Snapshot) {
		for i := 100; i < len(s.Entries); i += 100 {
			next := s.Entries[i-1].Key + " "
			n := i
			for n < len(s.Entries) && s.Entries[n].Key < next {
				n++
			}
			s.Entries = slices.Delete(s.Entries, i, n)
		}
	})}},

	{guarantee: "S5", name: "reads-each-single-key-into-one-buffer", broken: breakage{get: got(func(m *mutant, r kv.Range, s *kv.Snapshot) {
		if single(r) && len(s.Entries) == 1 && len(s.Entries[0].Value) <= 64 {
			buffer, _ := m.known.LoadOrStore("buffer", make([]byte, 64))
			n := copy(buffer.([]byte), s.Entries[0].Value)
			s.Entries[0].Value = buffer.([]byte)[:n:n]
		}
	})}},
	{guarantee: "S5", name: "returns-the-stored-value-of-a-single-key", broken: breakage{get: got(func(m *mutant, r kv.Range, s *kv.Snapshot) {
		if single(r) && len(s.Entries) == 1 {
			stored, _ := m.shared.LoadOrStore(s.Entries[0].ModRevision, s.Entries[0].Value)
			s.Entries[0].Value = stored.([]byte)
		}
	})}},
	{guarantee: "S5", name: "cuts-the-values-of-an-answer-out-of-one-array", broken: breakage{get: got(func(_ *mutant, _ kv.Range, s *kv.Snapshot) {
		var all []byte
		for _, e := range s.Entries {
			all = append(all, e.Value...)
		}
		for i, e := range s.Entries {
			s.Entries[i].Value, all = all[:len(e.Value)], all[len(e.Value):]
		}
	})}},
	{guarantee: "S5", name: "does-not-copy-large-values", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			rev, err := m.Store.Put(ctx, key, value, conditions...)
			if err == nil && len(value) > 64<<10 {
				m.shared.Store(rev, value)
			}
			return rev, err
		},
		get: got(func(m *mutant, _ kv.Range, s *kv.Snapshot) {
			for i, e := range s.Entries {
				if large, ok := m.shared.Load(e.ModRevision); ok {
					s.Entries[i].Value = bytes.Clone(large.([]byte))
				}
			}
		}),
	}},

	{guarantee: "S6", name: "takes-no-megabyte-in-a-commit", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		size := 0
		for _, op := range ops {
			size += len(op.Key) + len(op.Value)
		}
		if size > 1<<20 {
			return 0, &kv.OpError{Store: "mutant", Op: "commit", Reason: kv.ErrTooLarge}
		}
		return m.Store.Commit(ctx, ops...)
	}}},
	{guarantee: "S6", name: "takes-two-quotes-for-one", broken: written(func(key string, value []byte) (string, []byte) {
		return strings.ReplaceAll(key, "''", "'"), value
	})},
	{guarantee: "S6", name: "takes-a-colon-for-a-slash", broken: written(func(key string, value []byte) (string, []byte) {
		return strings.ReplaceAll(key, ":", "/"), value
	})},
	{guarantee: "S6", name: "drops-a-byte-order-mark", broken: written(func(key string, value []byte) (string, []byte) {
		return key, bytes.TrimPrefix(value, []byte("\ufeff"))
	})},

	{guarantee: "W8", name: "takes-zero-for-the-oldest-revision", broken: breakage{watch: goingOn(func(_ *mutant, _ kv.Range) decision {
		return func(last kv.Batch, err error) (kv.Revision, bool) {
			var compacted *kv.CompactedError
			if last.Revision == 0 && errors.As(err, &compacted) {
				return compacted.Oldest - 1, true
			}
			return 0, false
		}
	})}},
	{guarantee: "W11", name: "drops-what-is-beyond-a-thousand-batches", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			ctx, cancel := context.WithCancel(ctx)
			queue := make(chan item, 1000)
			var running sync.WaitGroup
			defer running.Wait()
			defer cancel()
			running.Go(func() {
				defer close(queue)
				for b, err := range m.Store.Watch(ctx, r, after) {
					for _, b := range revisions(b) {
						select {
						case queue <- item{b, nil}:
						default:
						}
					}
					if err != nil {
						queue <- item{err: err}
					}
				}
			})
			for i := range queue {
				if err := ctx.Err(); err != nil {
					i = item{err: err}
				}
				if !yield(i.b, i.err) || i.err != nil {
					cancel()
					for range queue {
					}
					return
				}
			}
		}
	}}},
	{guarantee: "W13", name: "takes-the-history-that-it-finds-after-a-lost-stream", broken: breakage{watch: goingOn(func(m *mutant, _ kv.Range) decision {
		lost := false
		return func(last kv.Batch, err error) (kv.Revision, bool) {
			if errors.Is(err, kv.ErrUnavailable) {
				lost = true
				return last.Revision, true
			}
			return m.now(), lost && errors.Is(err, kv.ErrReset)
		}
	})}},

	{guarantee: "Writer", name: "splits-a-commit-of-more-than-100-keys", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		for len(ops) > 100 {
			if _, err := m.Store.Commit(ctx, ops[:100]...); err != nil {
				return 0, err
			}
			ops = ops[100:]
		}
		return m.Store.Commit(ctx, ops...)
	}}},
	{guarantee: "Writer", name: "takes-an-empty-value-for-an-absent-key", broken: conditioned(func(c kv.Condition, e kv.Entry) bool {
		return c.Holds(e.ModRevision) || c == kv.IfAbsent() && len(e.Value) == 0
	})},
	{guarantee: "Writer", name: "compares-32-bits-of-a-revision", broken: conditioned(func(c kv.Condition, e kv.Entry) bool {
		rev, ok := c.ModRevision()
		return !ok || int32(rev) == int32(e.ModRevision)
	})},
	{guarantee: "Writer", name: "checks-the-last-condition-alone", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			return m.Store.Put(ctx, key, value, conditions[max(0, len(conditions)-1):]...)
		},
	}},

	{guarantee: "Stater", name: "stops-at-2000-keys", broken: breakage{stat: stated(func(_ *mutant, s *kv.Snapshot) {
		s.Entries = s.Entries[:min(len(s.Entries), 2000)]
	})}},
	{guarantee: "Summarizer", name: "counts-to-2000", broken: breakage{summarize: summarized(func(_ *mutant, s *kv.Summary) {
		s.Count = min(s.Count, 2000)
	})}},
	{guarantee: "Summarizer", name: "counts-deleted-keys", broken: breakage{
		delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
			before := m.now()
			rev, err := m.Store.Delete(ctx, key, conditions...)
			if err == nil && rev > before {
				m.known.Store("deleted", true)
			}
			return rev, err
		},
		summarize: summarized(func(m *mutant, s *kv.Summary) {
			if _, deleted := m.known.Load("deleted"); deleted {
				s.Count++
			}
		}),
	}},
	{guarantee: "Summarizer", name: "counts-in-a-second-statement", broken: breakage{summarize: func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
		s, err := m.Store.Summarize(ctx, r, since, limit)
		if err != nil {
			return s, err
		}
		m.betweenStatements()
		later, err := m.Store.Summarize(ctx, r, since, limit)
		s.Count = later.Count
		return s, err
	}}},
	{guarantee: "Summarizer", name: "gives-no-nil-if-nothing-was-put-since", broken: breakage{summarize: summarized(func(_ *mutant, s *kv.Summary) {
		if s.Since == nil {
			s.Since = []kv.Entry{}
		}
	})}},
	{guarantee: "Summarizer", name: "gives-no-entry-if-none-is-allowed", broken: breakage{summarize: func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
		s, err := m.Store.Summarize(ctx, r, since, limit)
		if limit < 1 {
			s.Since, s.More = nil, len(s.Since) > 0
		}
		return s, err
	}}},
	{guarantee: "Acknowledger", name: "acknowledges-again-after-a-lost-stream", broken: breakage{acknowledge: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
		return goingOn(func(*mutant, kv.Range) decision {
			return func(last kv.Batch, err error) (kv.Revision, bool) {
				return last.Revision, errors.Is(err, kv.ErrUnavailable)
			}
		})(m, context.WithValue(ctx, acknowledgedKey{}, acknowledged), r, after)
	}}},

	{guarantee: "Errors", name: "returns-the-cause-of-a-context", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		if err != nil && ctx.Err() != nil {
			err = &kv.OpError{Store: "mutant", Op: "get " + r.String(), Reason: context.Cause(ctx)}
		}
		return s, err
	}}},
	{guarantee: "Errors", name: "returns-a-deadline-that-is-its-own", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		if _, cut := m.known.Load("cut"); cut && ctx.Err() == nil {
			return kv.Snapshot{}, &kv.OpError{Store: "mutant", Op: "get " + r.String(), Reason: context.DeadlineExceeded}
		}
		return m.Store.Get(ctx, r)
	}}},
	{guarantee: "Errors", name: "takes-a-part-of-what-is-too-large-in-a-commit", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		ops = slices.Clone(ops)
		for i, op := range ops {
			ops[i].Value = op.Value[:min(len(op.Value), 1<<20)]
		}
		return m.Store.Commit(ctx, ops...)
	}}},
}

// flight is a Get that is under way.
type flight struct {
	done     chan struct{}
	snapshot kv.Snapshot
	err      error
}

func clone(s kv.Snapshot) kv.Snapshot {
	s.Entries = slices.Clone(s.Entries)
	for i, e := range s.Entries {
		s.Entries[i] = e.Clone()
	}
	return s
}

// revisions cuts a batch into one for each revision.
func revisions(b kv.Batch) (batches []kv.Batch) {
	for events := b.Events; len(events) > 0; {
		n := slices.IndexFunc(events, func(e kv.Event) bool { return e.ModRevision != events[0].ModRevision })
		if n < 0 {
			n = len(events)
		}
		batches = append(batches, kv.Batch{Revision: events[0].ModRevision, Events: events[:n:n]})
		events = events[n:]
	}
	return batches
}

// written makes a store that puts and deletes something else than it was given.
func written(f func(key string, value []byte) (string, []byte)) breakage {
	return breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			key, value = f(key, value)
			return m.Store.Put(ctx, key, value, conditions...)
		},
		delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
			key, _ = f(key, nil)
			return m.Store.Delete(ctx, key, conditions...)
		},
	}
}

// conditioned makes a store that puts if holds says so of each condition, and of the entry that the key has.
func conditioned(holds func(c kv.Condition, e kv.Entry) bool) breakage {
	return breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		e, err := kv.GetKey(ctx, m.Store, key)
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return m.Store.Put(ctx, key, value, conditions...)
		}
		for _, c := range conditions {
			if !holds(c, e) {
				return m.Store.Put(ctx, key, value, conditions...)
			}
		}
		return m.Store.Put(ctx, key, value)
	}}
}
