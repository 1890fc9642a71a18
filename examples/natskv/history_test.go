package natskv_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/examples/natskv"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend/backendtest"
)

// W8: Compact is not the only way in which history is lost. A watch reports each of them.
func TestWatchReportsThatHistoryIsGone(t *testing.T) {
	server := startServer(t)
	js := connect(t, backendtest.NewLink(server.dial))
	for name, test := range map[string]struct {
		history int64
		forget  func(t *testing.T, s *natskv.Store, stream jetstream.Stream)
		oldest  kv.Revision
	}{
		"compacted": {0, func(t *testing.T, s *natskv.Store, _ jetstream.Stream) {
			if err := s.Compact(t.Context(), 4); err != nil {
				t.Fatal(err)
			}
		}, 4},
		"history-limit": {2, func(*testing.T, *natskv.Store, jetstream.Stream) {}, 4},
		"purged-by-an-operator": {0, func(t *testing.T, _ *natskv.Store, stream jetstream.Stream) {
			if err := stream.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, 6},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := natskv.Create(t.Context(), js, natskv.Config{Bucket: name, History: test.history})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Put(t.Context(), "other", nil); err != nil {
				t.Fatal(err)
			}
			for i := range 4 {
				if _, err := s.Put(t.Context(), "k", fmt.Append(nil, i)); err != nil {
					t.Fatal(err)
				}
			}
			stream, err := js.Stream(t.Context(), "KV_"+name)
			if err != nil {
				t.Fatal(err)
			}
			test.forget(t, s, stream)
			for batch, err := range s.Watch(t.Context(), kv.Key("k"), 1) {
				var compacted *kv.CompactedError
				if !errors.As(err, &compacted) || compacted.Oldest != test.oldest {
					t.Fatalf("Watch yields %v, %v, want a CompactedError with the oldest revision %d", batch, err, test.oldest)
				}
			}
		})
	}
}

// NATS's own tools can still use the bucket.
func TestBucketIsReadByNATSItself(t *testing.T) {
	server := startServer(t)
	store := open(t, server, "shared")
	if _, err := store.Put(t.Context(), "limits", []byte("10")); err != nil {
		t.Fatal(err)
	}
	bucket, err := store.js.KeyValue(t.Context(), "shared")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := bucket.Get(t.Context(), "limits"); err != nil || string(e.Value()) != "10" {
		t.Errorf("KeyValue.Get = %v, %v, want 10", e, err)
	}
	if _, err := store.Delete(t.Context(), "limits"); err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Get(t.Context(), "limits"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("KeyValue.Get after the deletion = %v, want ErrKeyNotFound", err)
	}
}

// S1: in a bucket that NATS makes by default, replicas answer reads.
func TestOpenRefusesBucketsThatBreakTheContract(t *testing.T) {
	js := connect(t, backendtest.NewLink(startServer(t).dial))
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "theirs"}); err != nil {
		t.Fatal(err)
	}
	if _, err := natskv.Open(t.Context(), js, natskv.Config{Bucket: "theirs"}); !errors.Is(err, kv.ErrUnsupported) {
		t.Errorf("Open = %v, want ErrUnsupported", err)
	}
}

// W13: a restored bucket may be longer than the old one before the store looks at it.
func TestARestoredBucketIsDetectedEvenAfterReads(t *testing.T) {
	server := startServer(t)
	s := open(t, server, "restored")
	put := func(value string) kv.Revision {
		t.Helper()
		rev, err := s.Put(t.Context(), "k", []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	put("old")
	restore, err := server.backup(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.usable(t.Context()); err != nil {
		t.Fatal(err)
	}
	put("lost")
	snapshot, err := s.Get(t.Context(), kv.Key("k"))
	if err != nil {
		t.Fatal(err)
	}
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	other := open(t, server, "restored")
	for i := range 3 {
		if _, err := other.Put(t.Context(), "k", fmt.Append(nil, "other ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.usable(t.Context()); err != nil { // it reads, and finds a longer bucket
		t.Fatal(err)
	}
	for batch, err := range s.Watch(t.Context(), kv.Key("k"), snapshot.Revision) {
		if !errors.Is(err, kv.ErrReset) {
			t.Errorf("a watch after revision %d of the lost history yields %v, %v, want ErrReset", snapshot.Revision, batch, err)
		}
		break
	}
}
