package mutants

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// replica gets from a copy of the store that sees only its own writes.
var replica = breakage{
	put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		rev, err := m.Store.Put(ctx, key, value, conditions...)
		if err == nil {
			m.known.Store("revision", rev)
		}
		return rev, err
	},
	delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
		rev, err := m.Store.Delete(ctx, key, conditions...)
		if err == nil {
			m.known.Store("revision", rev)
		}
		return rev, err
	},
	get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		if known, ok := m.known.Load("revision"); ok && known.(kv.Revision) < s.Revision {
			s.Revision = known.(kv.Revision)
			s.Entries = slices.DeleteFunc(s.Entries, func(e kv.Entry) bool { return e.ModRevision > s.Revision })
		}
		return s, err
	},
}

// versionsGoOn is a watch whose events carry versions that a deletion does not reset.
var versionsGoOn = change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
	for i := range b.Events {
		if e := &b.Events[i]; e.Type == kv.EventPut && e.CreateRevision > 4 {
			e.Version++
		}
	}
	return []kv.Batch{b}
})

// readMutants break what a Get, a write or an error promises.
var readMutants = []mutation{
	{guarantee: "S1", name: "gets-what-was-one-write-ago", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		if err == nil && len(s.Entries) > 0 {
			last := 0
			for i, e := range s.Entries {
				if e.ModRevision > s.Entries[last].ModRevision {
					last = i
				}
			}
			s.Revision = s.Entries[last].ModRevision - 1
			s.Entries = slices.Delete(s.Entries, last, last+1)
		}
		return s, err
	}}},
	{guarantee: "S1", name: "gets-from-a-replica-that-knows-only-its-own-writes", broken: replica},
	{guarantee: "S2", name: "gets-unsorted", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		slices.Reverse(s.Entries)
		return s, err
	}}},
	{guarantee: "S2", name: "reads-two-pages-at-two-revisions", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		if err != nil || len(s.Entries) < 100 {
			return s, err
		}
		// The first page is of the get before this one.
		first := m.swapPage(s.Entries[:len(s.Entries)/2])
		if first != nil {
			s.Entries = append(slices.Clone(first), s.Entries[len(s.Entries)/2:]...)
		}
		return s, nil
	}}},
	{guarantee: "S2", name: "stops-at-a-thousand-keys", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		s.Entries = s.Entries[:min(len(s.Entries), 1000)]
		return s, err
	}}},
	{guarantee: "S3", name: "counts-versions-on-across-deletion", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		for i := range s.Entries {
			if e := &s.Entries[i]; e.CreateRevision > 4 {
				e.Version++
			}
		}
		return s, err
	}}},
	{guarantee: "S3", name: "moves-the-create-revision-with-each-put", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		for i := range s.Entries {
			s.Entries[i].CreateRevision = s.Entries[i].ModRevision
		}
		return s, err
	}}},
	{guarantee: "S3", name: "counts-versions-on-across-deletion-in-events", broken: breakage{watch: versionsGoOn}},
	{guarantee: "S4", name: "fails-for-an-absent-key", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		if err == nil && len(s.Entries) == 0 {
			return s, &kv.OpError{Store: "mutant", Op: "get " + r.String(), Reason: kv.ErrNotFound}
		}
		return s, err
	}}},
	{guarantee: "S4", name: "gives-no-revision-for-an-absent-key", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		if len(s.Entries) == 0 {
			s.Revision = 0
		}
		return s, err
	}}},
	{guarantee: "S4", name: "gives-no-nil-for-an-absent-key", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		if err == nil && s.Entries == nil {
			s.Entries = []kv.Entry{}
		}
		return s, err
	}}},
	{guarantee: "S5", name: "gives-all-watches-the-same-bytes", broken: breakage{watch: func() watchFunc {
		shared := make(chan map[kv.Revision][]byte, 1)
		shared <- make(map[kv.Revision][]byte)
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			known := <-shared
			for i, e := range b.Events {
				if value, ok := known[e.ModRevision]; ok && len(value) == len(e.Value) {
					b.Events[i].Value = value
				}
				known[e.ModRevision] = b.Events[i].Value
			}
			shared <- known
			return []kv.Batch{b}
		})
	}()}},
	{guarantee: "S5", name: "keeps-the-slice-that-it-was-given", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			rev, err := m.Store.Put(ctx, key, value, conditions...)
			m.known.Store(rev, value)
			return rev, err
		},
		get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			s, err := m.Store.Get(ctx, r)
			for i, e := range s.Entries {
				if value, ok := m.known.Load(e.ModRevision); ok {
					s.Entries[i].Value = value.([]byte)
				}
			}
			return s, err
		},
	}},
	{guarantee: "S6", name: "cuts-values-at-64-KiB", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		return m.Store.Put(ctx, key, value[:min(len(value), 64<<10)], conditions...)
	}}},
	{guarantee: "S6", name: "ends-keys-at-a-NUL", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		if before, _, ok := strings.Cut(key, "\x00"); ok && before != "" {
			key = before
		}
		return m.Store.Put(ctx, key, value, conditions...)
	}}},
	{guarantee: "S6", name: "takes-the-empty-key", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		if key == "" {
			key = "empty"
		}
		return m.Store.Put(ctx, key, value, conditions...)
	}}},
	{guarantee: "Writer", name: "makes-a-revision-for-a-missing-key", broken: breakage{delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
		before := m.now()
		rev, err := m.Store.Delete(ctx, key, conditions...)
		if err == nil && rev == before {
			return m.memory.Put(ctx, "mutant", nil)
		}
		return rev, err
	}}},
	{guarantee: "Writer", name: "commits-key-by-key", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		rev := m.now()
		var err error
		for _, op := range ops {
			if rev, err = m.Store.Commit(ctx, op); err != nil {
				return 0, err
			}
		}
		return rev, nil
	}}},
	{guarantee: "Writer", name: "ignores-conditions", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, _ []kv.Condition) (kv.Revision, error) {
		return m.Store.Put(ctx, key, value)
	}}},
	{guarantee: "Errors", name: "gives-an-error-of-its-own-for-a-conflict", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		rev, err := m.Store.Put(ctx, key, value, conditions...)
		if errors.Is(err, kv.ErrTooLarge) {
			err = errors.New("put: the backend does not like " + key)
		}
		return rev, err
	}}},
	{guarantee: "Errors", name: "calls-a-closed-store-unavailable", broken: breakage{watch: failing(unavailableIf(kv.ErrClosed))}},
	{guarantee: "Errors", name: "calls-an-ended-context-unavailable", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		if ctx.Err() != nil {
			err = &kv.OpError{Store: "mutant", Op: "get " + r.String(), Reason: kv.ErrUnavailable}
		}
		return s, err
	}}},
	{guarantee: "Errors", name: "does-not-name-the-key", broken: breakage{watch: failing(func(err error) error {
		if op, ok := errors.AsType[*kv.OpError](err); ok {
			return op.Reason
		}
		return err
	})}},
}
