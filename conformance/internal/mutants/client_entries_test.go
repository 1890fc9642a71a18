package mutants

import (
	"bytes"
	"context"
	"iter"
	"strconv"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// clientEntryMutants do so with metadata, bytes, compaction and restore.
var clientEntryMutants = []mutation{
	{guarantee: "W8", name: "counts-versions-in-the-history-that-is-left", broken: breakage{
		compact: func(m *mutant, ctx context.Context, rev kv.Revision) error {
			now, _ := m.memory.Get(ctx, kv.All())
			for _, e := range now.Entries {
				m.shared.Store(versionOf{e.Key, e.CreateRevision}, e.Version-1)
			}
			return m.memory.Compact(ctx, rev)
		},
		get: got(func(m *mutant, _ kv.Range, s *kv.Snapshot) {
			for i, e := range s.Entries {
				if gone, ok := m.shared.Load(versionOf{e.Key, e.CreateRevision}); ok {
					s.Entries[i].Version -= gone.(int64)
				}
			}
		}),
	}},
	{guarantee: "W8", name: "takes-the-compaction-for-the-creation-of-older-keys", broken: breakage{
		compact: func(m *mutant, ctx context.Context, rev kv.Revision) error {
			m.shared.Store("compacted", rev)
			return m.memory.Compact(ctx, rev)
		},
		get: got(func(m *mutant, _ kv.Range, s *kv.Snapshot) {
			rev, _ := m.shared.Load("compacted")
			compacted, _ := rev.(kv.Revision)
			for i, e := range s.Entries {
				if e.ModRevision > compacted { // the entry of an older one is in what the compaction kept
					s.Entries[i].CreateRevision = max(compacted, e.CreateRevision)
				}
			}
		}),
	}},
	{guarantee: "S3", name: "counts-64-versions", broken: breakage{get: got(func(m *mutant, _ kv.Range, s *kv.Snapshot) {
		for i, e := range s.Entries {
			s.Entries[i].Version = min(64, e.Version)
		}
	})}},
	{guarantee: "S3", name: "counts-64-versions-in-events", broken: breakage{watch: change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		for i, e := range b.Events {
			b.Events[i].Version = min(64, e.Version)
		}
		return []kv.Batch{b}
	})}},
	{guarantee: "S5", name: "appends-to-the-slice-that-it-is-given", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		rev, err := m.Store.Put(ctx, key, value, conditions...)
		_ = append(value, 0xca, 0xfe)
		return rev, err
	}}},
	{guarantee: "S5", name: "encrypts-in-place", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		rev, err := m.Store.Put(ctx, key, bytes.Clone(value), conditions...)
		for i := range value {
			value[i] ^= 0x5a
		}
		return rev, err
	}}},
	{guarantee: "S5", name: "encrypts-in-place-in-a-commit", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		rev, err := m.Store.Commit(ctx, ops...)
		for _, op := range ops {
			for i := range op.Value {
				op.Value[i] ^= 0x5a
			}
		}
		return rev, err
	}}},
	{guarantee: "S5", name: "gives-all-watches-the-same-array-of-events", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			if n := len(b.Events); n > 0 {
				shared, _ := m.known.LoadOrStore([4]any{r, b.Events[0].ModRevision, b.Revision, n}, b.Events)
				b.Events = shared.([]kv.Event)
			}
			return []kv.Batch{b}
		})(m, ctx, r, after)
	}}},
	{guarantee: "S6", name: "takes-a-kilobyte-of-key-escaped", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		if n := len(strconv.Quote(key)); n > 1200 {
			return 0, &kv.OpError{Store: "mutant", Op: "put " + key, Reason: kv.ErrTooLarge}
		}
		return m.Store.Put(ctx, key, value, conditions...)
	}}},
	{guarantee: "S6", name: "distinguishes-keys-by-767-bytes", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		if len(key) > 767 {
			first, _ := m.shared.LoadOrStore(key[:767], key)
			key = first.(string)
		}
		return m.Store.Put(ctx, key, value, conditions...)
	}}},
	{guarantee: "S6", name: "deletes-what-is-below-a-key", broken: deletingMore(func(key string) string { return strings.TrimSuffix(key, "/") + "/" })},
	{guarantee: "S6", name: "puts-no-key-below-a-key", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		for i := 1; i < len(key)-1; i++ {
			if key[i] == '/' && key[i-1] != '/' {
				if _, err := kv.GetKey(ctx, m.memory, key[:i]); err == nil {
					return 0, &kv.OpError{Store: "mutant", Op: "put " + key, Reason: kv.ErrInvalidKey}
				}
			}
		}
		return m.Store.Put(ctx, key, value, conditions...)
	}}},
	{guarantee: "S6", name: "deletes-what-begins-with-a-key", broken: deletingMore(func(key string) string { return key })},
	{guarantee: "S3", name: "reads-versions-before-it-commits", broken: breakage{
		commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
			versions := make(map[string]int64)
			for _, op := range ops {
				if e, err := kv.GetKey(ctx, m.memory, op.Key); err == nil && op.Type == kv.EventPut {
					versions[op.Key] = e.Version + 1
				}
			}
			m.betweenStatements()
			rev, err := m.Store.Commit(ctx, ops...)
			for key, version := range versions {
				m.shared.Store(versionOf{key, rev}, version)
			}
			return rev, err
		},
		get: got(func(m *mutant, _ kv.Range, s *kv.Snapshot) {
			for i := range s.Entries {
				m.misversion(&s.Entries[i])
			}
		}),
		watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
			return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
				for i := range b.Events {
					m.misversion(&b.Events[i].Entry)
				}
				return []kv.Batch{b}
			})(m, ctx, r, after)
		},
	}},
	{guarantee: "W13", name: "stats-the-lost-history-after-a-restore", broken: breakage{stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Stat(ctx, r)
		return newestEver(m, r, s), err
	}}},
	{guarantee: "W13", name: "gets-the-lost-history-after-a-restore", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		return newestEver(m, r, s), err
	}}},
	{guarantee: "W13", name: "counts-versions-on-across-a-restore", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			rev, err := m.Store.Put(ctx, key, value, conditions...)
			if e, absent := kv.GetKey(ctx, m.memory, key); absent == nil {
				m.shared.Store(versionOf{key, e.CreateRevision}, e.Version)
			}
			return rev, err
		},
		get: got(func(m *mutant, _ kv.Range, s *kv.Snapshot) {
			for i, e := range s.Entries {
				if v, ok := m.shared.Load(versionOf{e.Key, e.CreateRevision}); ok {
					s.Entries[i].Version = v.(int64)
				}
			}
		}),
	}},
}

// versionOf is the key under which a mutant remembers a version.
type versionOf struct {
	key string
	rev kv.Revision
}

// misversion gives e the version that was computed too early.
func (m *mutant) misversion(e *kv.Entry) {
	if version, ok := m.shared.Load(versionOf{e.Key, e.ModRevision}); ok {
		e.Version = version.(int64)
	}
}

// deletingMore makes a store that deletes all keys with a prefix together with a key.
func deletingMore(prefix func(key string) string) breakage {
	return breakage{delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
		rev, err := m.Store.Delete(ctx, key, conditions...)
		if err != nil {
			return rev, err
		}
		more, _ := m.memory.Get(ctx, kv.Prefix(prefix(key)))
		for _, e := range more.Entries {
			m.memory.Delete(ctx, e.Key)
		}
		return rev, nil
	}}
}

// newestEver returns the newest of all snapshots of a range.
func newestEver(m *mutant, r kv.Range, s kv.Snapshot) kv.Snapshot {
	if before, ok := m.known.Load(r); ok && before.(kv.Snapshot).Revision > s.Revision {
		return clone(before.(kv.Snapshot))
	}
	m.known.Store(r, clone(s))
	return s
}
