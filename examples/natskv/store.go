package natskv

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

var _ interface {
	kv.Store
	kv.Writer
} = (*Store)(nil)

// Store is a bucket. Its methods may be called concurrently. The connection belongs to the caller. A Store has nothing that
// must be closed. After the connection was closed, every use is [kv.ErrClosed].
type Store struct {
	js        jetstream.JetStream
	stream    jetstream.Stream
	name      string // of the stream
	prefix    string // of every subject of the bucket, with the last dot
	config    Config
	histories backend.Histories[int64]
}

// Config says how Create makes a bucket, and how a Store reads it. Only Bucket is required.
type Config struct {
	Bucket string

	// Of the bucket. Those who open it need not know.
	Replicas int                   // 1 unless set
	Storage  jetstream.StorageType // FileStorage unless set
	MaxBytes int64                 // without limit unless set; writes beyond it are kv.ErrUnavailable

	// History is how many changes of a key the bucket keeps. A watch that resumes at an older change ends with a
	// *kv.CompactedError, so more is better. It is a million unless set. Then only Compact forgets.
	History int64

	// Of the reader. A watch holds Buffer messages in memory at most, and so does a Get in addition to its result: 64 unless set.
	Buffer int
	// A watch fails if it receives nothing from the server for twice Heartbeat: 5 s unless set, at least 500 ms.
	Heartbeat time.Duration
	// A request fails if it has no answer after Timeout: 5 s unless set.
	Timeout time.Duration
	// A watch that has lost the server tries to continue for the time Outage before it ends: 10 s unless set.
	Outage time.Duration
	// Bookmarks is the shortest time between bookmarks of a watch whose range does not change while other keys change: 1 s unless set.
	Bookmarks time.Duration
}

// Create makes a bucket, or opens it where it exists with the same configuration.
//
// NATS's own tools can read it too. It differs from the buckets that they make in two settings: the length of its
// history, and that replicas do not answer reads.
func Create(ctx context.Context, js jetstream.JetStream, config Config) (*Store, error) {
	if config.History == 0 {
		config.History = 1_000_000
	}
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name:              streamOf(config.Bucket),
		Subjects:          []string{"$KV." + config.Bucket + ".>"},
		Replicas:          max(config.Replicas, 1),
		Storage:           config.Storage,
		MaxBytes:          cmp.Or(config.MaxBytes, -1),
		MaxMsgsPerSubject: config.History,
		Discard:           jetstream.DiscardNew, // a full bucket refuses writes, rather than to forget keys
		DenyDelete:        true,
		AllowRollup:       true,
		AllowDirect:       false, // S1: what replicas answer may be old
	})
	if err != nil {
		return nil, fmt.Errorf("natskv: create bucket %s: %w", config.Bucket, err)
	}
	return open(js, stream, config)
}

// Open opens a bucket that Create made, here or elsewhere. It refuses a bucket whose settings would break the contract.
func Open(ctx context.Context, js jetstream.JetStream, config Config) (*Store, error) {
	stream, err := js.Stream(ctx, streamOf(config.Bucket))
	if err != nil {
		return nil, fmt.Errorf("natskv: open bucket %s: %w", config.Bucket, err)
	}
	return open(js, stream, config)
}

func open(js jetstream.JetStream, stream jetstream.Stream, config Config) (*Store, error) {
	switch c := stream.CachedInfo().Config; {
	case c.AllowDirect:
		return nil, fmt.Errorf("natskv: bucket %s: %w: replicas answer reads (allow_direct)", config.Bucket, kv.ErrUnsupported)
	case c.MaxAge > 0:
		return nil, fmt.Errorf("natskv: bucket %s: %w: keys vanish by age (max_age)", config.Bucket, kv.ErrUnsupported)
	case c.Discard != jetstream.DiscardNew:
		return nil, fmt.Errorf("natskv: bucket %s: %w: keys vanish when it is full (discard)", config.Bucket, kv.ErrUnsupported)
	}
	config.Buffer = cmp.Or(config.Buffer, 64)
	config.Heartbeat = cmp.Or(config.Heartbeat, 5*time.Second)
	config.Timeout = cmp.Or(config.Timeout, 5*time.Second)
	config.Outage = cmp.Or(config.Outage, 10*time.Second)
	config.Bookmarks = cmp.Or(config.Bookmarks, time.Second)
	return &Store{
		js:     js,
		stream: stream,
		name:   streamOf(config.Bucket),
		prefix: "$KV." + config.Bucket + ".",
		config: config,
	}, nil
}

// streamOf is NATS's own convention, as are the subjects.
func streamOf(bucket string) string { return "KV_" + bucket }

func (s *Store) subject(key string) string { return s.prefix + encodeKey(key) }

func (s *Store) keyOf(subject string) (key string, ok bool) {
	tail, ok := strings.CutPrefix(subject, s.prefix)
	if !ok {
		return "", false
	}
	return decodeKey(tail)
}

func (s *Store) connection() *nats.Conn { return s.js.Conn() }
