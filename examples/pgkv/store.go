package pgkv

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

var _ interface {
	kv.Store
	kv.Writer
	kv.Committer
	kv.Stater
	kv.Summarizer
	kv.Acknowledger
	kv.ProgressRequester
} = (*Store)(nil)

// Config configures a Store. All fields may be zero.
type Config struct {
	// Schema has the tables: "watchkv" unless set, at most 55 bytes. Each schema of a database is a store.
	Schema string

	// Page is how many changes a watch reads at a time: 256 unless set. A page has more changes if one revision has more, and fewer if they are
	// larger than 1 MiB.
	Page int
	// Poll is the time after which the Store looks for changes even if it was not notified: 2 s unless set.
	Poll time.Duration
	// Timeout is how long the connection that follows the changes may take for an answer before it is replaced: 10 s unless set.
	Timeout time.Duration
	// Outage is how long watches wait for a way back to the server before they end with [kv.ErrUnavailable]: 10 s unless set.
	Outage time.Duration
	// Bookmarks is how often, at most, a watch of quiet keys gets a bookmark while others change: 10 s unless set.
	Bookmarks time.Duration
}

func (c Config) withDefaults() Config {
	c.Schema = cmp.Or(c.Schema, "watchkv")
	c.Page = cmp.Or(c.Page, 256)
	c.Poll = cmp.Or(c.Poll, 2*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.Outage = cmp.Or(c.Outage, 10*time.Second)
	c.Bookmarks = cmp.Or(c.Bookmarks, 10*time.Second)
	return c
}

// Store is a store in a schema of a PostgreSQL database. Its methods may be called concurrently. Programs should have one for each
// pool and schema, because the watches of a Store share a connection.
type Store struct {
	pool      *pgxpool.Pool
	config    Config
	histories backend.Histories[mark]
	closed    chan struct{} // closed by Close

	mu   sync.Mutex
	tail *tail // what the watches share; nil while there are none
	shut bool  // by Close
}

// Open returns the store in config.Schema, which [Migrate] has made. The caller configures the pool, with TLS, passwords and time limits,
// and closes it. The Store never closes it. After the pool was closed, every use of the Store is [kv.ErrClosed].
//
// The pool must connect to the primary. If the connection string names several servers, add target_session_attrs=read-write.
func Open(ctx context.Context, pool *pgxpool.Pool, config Config) (*Store, error) {
	config = config.withDefaults()
	op := fmt.Sprintf("open schema %q", config.Schema)
	version, err := versionOf(ctx, pool, config)
	if err == nil && version < latest {
		err = fmt.Errorf("%w: the tables are of version %d: call Migrate", kv.ErrUnsupported, version)
	}
	if err != nil {
		return nil, failures.Op(ctx, op, err)
	}
	return &Store{pool: pool, config: config, closed: make(chan struct{})}, nil
}

// Close ends the watches, and the connection that they share. Every later use of the Store is [kv.ErrClosed]. Without watches there is
// nothing to close. The pool stays open.
func (s *Store) Close() {
	s.mu.Lock()
	if !s.shut {
		s.shut = true
		close(s.closed)
	}
	t := s.tail
	s.tail = nil
	s.mu.Unlock()
	if t != nil {
		t.fail(kv.ErrClosed)
		t.stop()
	}
}

// Itself returns s. See [kv.As].
func (s *Store) Itself() kv.Store { return s }

// usable returns an error if a call cannot even begin.
func (s *Store) usable(ctx context.Context) error {
	select {
	case <-s.closed:
		return kv.ErrClosed
	default:
		return ctx.Err()
	}
}

// querier is a pool, or a connection.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}
