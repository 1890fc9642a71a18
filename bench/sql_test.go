package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/watchkv/watchkv/examples/pgkv"
	"github.com/watchkv/watchkv/examples/pgkv/pgtest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/value"
)

// counted counts the statements of a pool.
type counted struct{ statements atomic.Int64 }

func (c *counted) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.statements.Add(1)
	return ctx
}

func (c *counted) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// onPostgres opens a store over one pool of ten connections.
func onPostgres(b *testing.B) (*pgkv.Store, *counted) {
	server, err := pgtest.New()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Remove)
	config, err := pgxpool.ParseConfig(server.URL(""))
	if err != nil {
		b.Fatal(err)
	}
	c := new(counted)
	config.MaxConns, config.ConnConfig.Tracer = 10, c
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	if err := pgkv.Migrate(b.Context(), pool, pgkv.Config{}); err != nil {
		b.Fatal(err)
	}
	store, err := pgkv.Open(b.Context(), pool, pgkv.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(store.Close)
	return store, c
}

// readWriter is a store that programs read and write.
type readWriter interface {
	kv.Store
	kv.Writer
}

// BenchmarkThousandValues is the time from a put to one of a thousand Values, each of another key, until its watcher has it: in PostgreSQL and
// in one member of etcd, neither of which waits for its disk.
//
//	go test -run '^$' -bench ThousandValues -benchtime 2000x -count 5
func BenchmarkThousandValues(b *testing.B) {
	for _, system := range []struct {
		name string
		open func(*testing.B) readWriter
	}{
		{"postgres", func(b *testing.B) readWriter { s, _ := onPostgres(b); return s }},
		{"etcd", func(b *testing.B) readWriter { return etcd.New(etcdtest.Start(b, 1).Client()) }},
	} {
		b.Run("by="+system.name, func(b *testing.B) {
			store := system.open(b)
			seen := followAll(b, store, 1000)
			var writing time.Duration
			for i := 0; b.Loop(); i++ {
				began := time.Now()
				if _, err := store.Put(b.Context(), fmt.Sprint("/", i%1000), payload); err != nil {
					b.Fatal(err)
				}
				writing += time.Since(began)
				<-seen
			}
			b.ReportMetric(float64(writing.Nanoseconds())/float64(b.N), "put-ns/op")
		})
	}
}

// BenchmarkIdleOnPostgres is what a thousand Values of keys that do not change cost the database in a minute: the polls of the Store, and a
// check of each Value that has been silent for a minute.
func BenchmarkIdleOnPostgres(b *testing.B) {
	store, count := onPostgres(b)
	followAll(b, store, 1000)
	b.Run("by=postgres", func(b *testing.B) {
		for b.Loop() {
			time.Sleep(time.Minute) // the checks begin
			before := count.statements.Load()
			time.Sleep(time.Minute)
			b.ReportMetric(float64(count.statements.Load()-before)/60, "statements/s")
		}
	})
}

// followAll watches n keys, each with a separate Value, and sends a token for each update. It returns when all watches have begun.
func followAll(b *testing.B, store kv.Store, n int) (seen chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	seen = make(chan struct{}, n)
	var running, begun sync.WaitGroup
	b.Cleanup(func() { cancel(); running.Wait() })
	begun.Add(n)
	for i := range n {
		v := value.New(store, fmt.Sprint("/", i), value.Bytes, value.WithDefault([]byte("none")))
		w := v.Watch()
		running.Go(func() {
			defer w.Close()
			_, err := w.Get(ctx)
			check(ctx, err)
			for !v.Status().Connected && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			begun.Done()
			for {
				if _, err := w.Get(ctx); err != nil {
					check(ctx, err)
					return
				}
				seen <- struct{}{}
			}
		})
	}
	begun.Wait()
	return seen
}
