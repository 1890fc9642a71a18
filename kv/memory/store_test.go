package memory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestFirstWriteMakesRevisionTwo(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	if got := get(t, s, kv.All()); got.Revision != 1 || got.Entries != nil {
		t.Errorf("a new store holds %+v, want nothing at revision 1", got)
	}
	if got := put(t, s, "/a", "1"); got != 2 {
		t.Errorf("the first put made revision %d, want 2", got)
	}
}

func TestEntriesFollowEtcdsRulesAcrossDeletion(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	put(t, s, "/a", "1")
	put(t, s, "/a", "2")
	put(t, s, "/b", "1")
	put(t, s, "/a", "3")
	want := []kv.Entry{
		{Key: "/a", Value: []byte("3"), CreateRevision: 2, ModRevision: 5, Version: 3},
		{Key: "/b", Value: []byte("1"), CreateRevision: 4, ModRevision: 4, Version: 1},
	}
	diff(t, get(t, s, kv.Prefix("/")), kv.Snapshot{Revision: 5, Entries: want})

	remove(t, s, "/a")
	diff(t, get(t, s, kv.Prefix("/")), kv.Snapshot{Revision: 6, Entries: want[1:]})

	put(t, s, "/a", "")
	want[0] = kv.Entry{Key: "/a", CreateRevision: 7, ModRevision: 7, Version: 1}
	diff(t, get(t, s, kv.Prefix("/")), kv.Snapshot{Revision: 7, Entries: want})
}

func TestInvalidCallsFailAndChangeNothing(t *testing.T) {
	leaktest.Check(t)
	many := make([]kv.Op, 129)
	for i := range many {
		many[i] = kv.PutOp(fmt.Sprintf("/%d", i), nil)
	}
	conditions := make([]kv.Condition, 129)
	for i := range conditions {
		conditions[i] = kv.IfAbsent()
	}
	large := make([]byte, 3<<19)
	tests := []struct {
		name string
		do   func(s *memory.Store) error
		want error
		text string
	}{
		{"put of the empty key", func(s *memory.Store) error { return second(s.Put(t.Context(), "", nil)) },
			kv.ErrInvalidKey, `kv/memory: put "": invalid key`},
		{"delete of the empty key", func(s *memory.Store) error { return second(s.Delete(t.Context(), "")) },
			kv.ErrInvalidKey, `kv/memory: delete "": invalid key`},
		{"commit of the empty key", func(s *memory.Store) error {
			return second(s.Commit(t.Context(), kv.PutOp("/a", nil), kv.PutOp("", nil)))
		}, kv.ErrInvalidKey, `kv/memory: commit of "/a" and 1 more: invalid key`},
		{"a key twice in a commit", func(s *memory.Store) error {
			return second(s.Commit(t.Context(), kv.PutOp("/b", nil), kv.DeleteOp("/b")))
		}, kv.ErrInvalidKey, `"/b" is named twice`},
		{"a key deleted twice in a commit", func(s *memory.Store) error {
			return second(s.Commit(t.Context(), kv.DeleteOp("/b"), kv.DeleteOp("/b")))
		}, kv.ErrInvalidKey, `"/b" is named twice`},
		{"an unknown type of operation", func(s *memory.Store) error {
			return second(s.Commit(t.Context(), kv.Op{Type: 7, Key: "/a"}))
		}, kv.ErrUnsupported, `commit of "/a": unsupported operation`},
		{"too many operations", func(s *memory.Store) error { return second(s.Commit(t.Context(), many...)) },
			kv.ErrTooLarge, `commit of "/0" and 128 more: too large`},
		{"too many conditions", func(s *memory.Store) error { return second(s.Put(t.Context(), "/x", nil, conditions...)) },
			kv.ErrTooLarge, `put "/x": too large`},
		{"a large value", func(s *memory.Store) error { return second(s.Put(t.Context(), "/a", large)) },
			kv.ErrTooLarge, `put "/a": too large`},
		{"a large key", func(s *memory.Store) error { return second(s.Put(t.Context(), string(large), nil)) },
			kv.ErrTooLarge, `too large`},
		{"a large commit", func(s *memory.Store) error {
			return second(s.Commit(t.Context(), kv.PutOp("/a", large[:1<<20]), kv.PutOp("/b", large[:1<<20])))
		}, kv.ErrTooLarge, `commit of "/a" and 1 more: too large`},
		{"get of the zero range", func(s *memory.Store) error { return second(s.Get(t.Context(), kv.Range{})) },
			kv.ErrInvalidRange, `kv/memory: get no range: invalid range`},
		{"get of an empty interval", func(s *memory.Store) error { return second(s.Get(t.Context(), kv.Interval("b", "a"))) },
			kv.ErrInvalidRange, `kv/memory: get ["b", "a"): invalid range`},
		{"get of the empty key", func(s *memory.Store) error { return second(s.Get(t.Context(), kv.Key(""))) },
			kv.ErrInvalidKey, `kv/memory: get "": invalid key`},
		{"watch of an empty interval", func(s *memory.Store) error { return ending(t.Context(), s, kv.Interval("b", "b"), 0) },
			kv.ErrInvalidRange, `kv/memory: watch ["b", "b") after 0: invalid range`},
		{"watch after a negative revision", func(s *memory.Store) error { return ending(t.Context(), s, kv.Key("a"), -1) },
			kv.ErrInvalidRange, `kv/memory: watch "a" after -1: invalid range`},
		{"watch of the empty key", func(s *memory.Store) error { return ending(t.Context(), s, kv.Key(""), 0) },
			kv.ErrInvalidKey, `kv/memory: watch "" after 0: invalid key`},
		{"compact of the future", func(s *memory.Store) error { return s.Compact(t.Context(), 3) },
			memory.ErrFutureRevision, `kv/memory: compact at 3: the revision is in the future`},
		{"compact of a negative revision", func(s *memory.Store) error { return s.Compact(t.Context(), -1) },
			kv.ErrCompacted, `kv/memory: compact at -1: history compacted`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := memory.New()
			put(t, s, "/a", "1")
			before := get(t, s, kv.All())
			err := test.do(s)
			if !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			if !strings.Contains(fmt.Sprint(err), test.text) {
				t.Errorf("the message is %v, want %s in it", err, test.text)
			}
			if op := new(kv.OpError); !errors.As(err, &op) || op.Store != "kv/memory" {
				t.Errorf("%#v is not an OpError of kv/memory", err)
			}
			diff(t, get(t, s, kv.All()), before)
			if n := s.Watches(); n != 0 {
				t.Errorf("%d watches were left running", n)
			}
		})
	}
}

func TestAnyBytesAreStoredUnchanged(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	keys := []string{"\x00", "\x00\x00", "a", "a\x00", "a/", "a\xff", "\xff", "\xff\xff", strings.Repeat("k", 1024), "é/\n"}
	values := [][]byte{{}, {0}, {0xff}, []byte("plain"), bytes.Repeat([]byte{7}, 1<<20)}
	for i, key := range keys {
		value := values[i%len(values)]
		put(t, s, key, string(value))
		entry, err := kv.GetKey(t.Context(), s, key)
		if err != nil || entry.Key != key || !bytes.Equal(entry.Value, value) {
			t.Errorf("put %d bytes at %q, but got %d at %q, %v", len(value), key, len(entry.Value), entry.Key, err)
		}
	}
	for i, got := range get(t, s, kv.All()).Entries {
		if i > 0 && got.Key <= get(t, s, kv.All()).Entries[i-1].Key {
			t.Errorf("%q comes out of order", got.Key)
		}
	}
}

func TestBytesBelongToTheCaller(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	spoil := func(b []byte) {
		for i := range b {
			b[i] = 'X'
		}
	}
	in := []byte("put")
	if _, err := s.Put(t.Context(), "/a", in); err != nil {
		t.Fatal(err)
	}
	spoil(in)
	in = []byte("commit")
	if _, err := s.Commit(t.Context(), kv.PutOp("/b", in)); err != nil {
		t.Fatal(err)
	}
	spoil(in)
	for range 2 {
		snapshot := get(t, s, kv.All())
		diff(t, []string{string(snapshot.Entries[0].Value), string(snapshot.Entries[1].Value)}, []string{"put", "commit"})
		one := get(t, s, kv.Key("/a"))
		diff(t, string(one.Entries[0].Value), "put")
		events := take(t, s, kv.All(), 0, 1)[0].Events
		diff(t, []string{string(events[0].Value), string(events[1].Value)}, []string{"put", "commit"})
		spoil(one.Entries[0].Value)
		for i := range 2 {
			spoil(snapshot.Entries[i].Value)
			spoil(events[i].Value)
		}
	}
}

func TestCallsWithADoneContextDoNothing(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	put(t, s, "/a", "1")
	before := get(t, s, kv.All())
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	for _, ctx := range []context.Context{canceled, late} {
		for name, err := range map[string]error{
			"get":      second(s.Get(ctx, kv.All())),
			"stat":     second(s.Stat(ctx, kv.All())),
			"put":      second(s.Put(ctx, "/a", nil)),
			"delete":   second(s.Delete(ctx, "/a")),
			"commit":   second(s.Commit(ctx, kv.DeleteOp("/a"))),
			"watch":    ending(ctx, s, kv.All(), 0),
			"compact":  s.Compact(ctx, 2),
			"progress": s.RequestProgress(ctx),
		} {
			if !errors.Is(err, ctx.Err()) {
				t.Errorf("%s returned %v, want %v", name, err, ctx.Err())
			}
		}
	}
	diff(t, get(t, s, kv.All()), before)
	diff(t, len(take(t, s, kv.All(), 0, 1)), 1)
}

func TestClosedStoreReturnsErrClosed(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	put(t, s, "/a", "1")
	b := s.Backup()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	for name, err := range map[string]error{
		"get":       second(s.Get(t.Context(), kv.All())),
		"get a key": second(s.Get(t.Context(), kv.Key("/a"))),
		"stat":      second(s.Stat(t.Context(), kv.Key("/a"))),
		"put":       second(s.Put(t.Context(), "/a", nil)),
		"delete":    second(s.Delete(t.Context(), "/a")),
		"commit":    second(s.Commit(t.Context())),
		"watch":     ending(t.Context(), s, kv.All(), 0),
		"compact":   s.Compact(t.Context(), 2),
		"progress":  s.RequestProgress(t.Context()),
		"restore":   s.Restore(b),
	} {
		if !errors.Is(err, kv.ErrClosed) {
			t.Errorf("%s returned %v, want ErrClosed", name, err)
		}
	}
}

// get returns the current contents of r.
func get(t *testing.T, s kv.Store, r kv.Range) kv.Snapshot {
	t.Helper()
	snapshot, err := s.Get(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func put(t *testing.T, s kv.Writer, key, value string) kv.Revision {
	t.Helper()
	rev, err := s.Put(t.Context(), key, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func remove(t *testing.T, s kv.Writer, key string) kv.Revision {
	t.Helper()
	rev, err := s.Delete(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// take returns the first n batches of a watch.
func take(t *testing.T, s kv.Store, r kv.Range, after kv.Revision, n int) []kv.Batch {
	t.Helper()
	var batches []kv.Batch
	for batch, err := range s.Watch(t.Context(), r, after) {
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, batch)
		if len(batches) == n {
			break
		}
	}
	return batches
}

// ending returns the error that ends a watch.
func ending(ctx context.Context, s kv.Store, r kv.Range, after kv.Revision) (last error) {
	for _, err := range s.Watch(ctx, r, after) {
		last = err
	}
	return last
}

func second[T any](_ T, err error) error { return err }

func diff(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
