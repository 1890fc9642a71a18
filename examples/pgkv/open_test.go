package pgkv_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/examples/pgkv"
	"github.com/watchkv/watchkv/examples/pgkv/pgtest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend/backendtest"
)

// opened is a Store with the faults that tests make from outside.
type opened struct {
	*pgkv.Store
	*connections
	server *pgtest.Server
	schema string
}

// connections is a pool over a network that tests can cut. One Store uses it at a time.
type connections struct {
	pool    *pgxpool.Pool
	link    *backendtest.Link
	name    string
	faulted bool // a test has cut or dropped connections

	statements atomic.Int64 // statements that were sent, without those that prepare others
}

// TraceQueryStart implements pgx.QueryTracer.
func (c *connections) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.statements.Add(1)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (c *connections) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// connect returns a pool that makes connections when they are needed.
func connect(ctx context.Context, url string) (*connections, error) {
	c := &connections{name: newName("client")}
	config, err := pgxpool.ParseConfig(url + "&application_name=" + c.name)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 10
	config.ConnConfig.Tracer = c
	c.link = backendtest.NewLink(config.ConnConfig.DialFunc)
	config.ConnConfig.DialFunc = c.link.DialContext
	c.pool, err = pgxpool.NewWithConfig(ctx, config)
	return c, err
}

// close ends the connections. It waits until none is in use.
func (c *connections) close() {
	c.pool.Close()
	c.link.Close()
}

// unused has pools for the shared server that had no fault and are not in use. The next Store gets one of them. In PostgreSQL a new
// connection is a new process, which costs more than most tests.
var unused []*connections

// giveBack keeps c for the next Store if c had no fault and is not in use. Otherwise it closes c.
func (c *connections) giveBack() {
	if c.faulted || c.pool.Stat().AcquiredConns() > 0 {
		c.close()
		return
	}
	unused = append(unused, c)
}

func takeUnused() *connections {
	if len(unused) == 0 {
		return nil
	}
	c := unused[len(unused)-1]
	unused = unused[:len(unused)-1]
	return c
}

// names numbers schemas and connections.
var names atomic.Int64

func newName(of string) string { return fmt.Sprint(of, names.Add(1)) }

// open opens a schema, and creates it if there is none. No other Store uses its connections at the same time. The pages and the
// window are small.
func open(t conformance.T, s *pgtest.Server, schema string) *opened {
	t.Helper()
	return openAt(t, s, s.URL(""), pgkv.Config{
		Schema: schema, Page: 8, Poll: 200 * time.Millisecond, Timeout: time.Second, Bookmarks: 20 * time.Millisecond,
	})
}

// openAt is open with a connection string and settings.
func openAt(t conformance.T, s *pgtest.Server, url string, settings pgkv.Config) *opened {
	t.Helper()
	o := &opened{server: s, schema: settings.Schema}
	done := (*connections).close
	if s == shared {
		o.connections, done = takeUnused(), (*connections).giveBack
	}
	if o.connections == nil {
		var err error
		if o.connections, err = connect(t.Context(), url); err != nil {
			t.Fatalf("%v", err)
		}
	}
	t.Cleanup(func() { done(o.connections) })
	if err := pgkv.Migrate(t.Context(), o.pool, settings); err != nil {
		t.Fatalf("%v", err)
	}
	var err error
	if o.Store, err = pgkv.Open(t.Context(), o.pool, settings); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(o.Close)
	return o
}

// usable waits until o can be used again after a fault. The pool may hold connections that have ended. These are dropped.
func (o *opened) usable(ctx context.Context) error {
	o.pool.Reset()
	return until(ctx, func() (bool, error) {
		_, err := o.Get(ctx, kv.Key("any"))
		return err == nil, err
	})
}

// until calls done repeatedly until it returns true.
func until(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// backup copies the tables into another schema. restore copies them back in one transaction, like pg_restore with
// --single-transaction.
func (o *opened) backup(ctx context.Context) (restore func(context.Context) error, err error) {
	copied := newName("backup")
	sql := "CREATE SCHEMA " + copied + ";"
	tables := []string{"state", "entries", "changes"}
	for _, table := range tables {
		sql += fmt.Sprintf("CREATE TABLE %s.%s AS TABLE %s.%s;", copied, table, o.schema, table)
	}
	restored := "BEGIN; LOCK TABLE " + o.schema + ".state;"
	for _, table := range tables {
		restored += fmt.Sprintf("DELETE FROM %s.%s; INSERT INTO %s.%s TABLE %s.%s;", o.schema, table, o.schema, table, copied, table)
	}
	restored += "COMMIT"
	return func(ctx context.Context) error { return o.server.Exec(ctx, restored) }, o.server.Exec(ctx, sql)
}

// followers returns how many connections of o follow the changes. They are not part of its pool.
func (o *opened) followers(ctx context.Context) (n int, err error) {
	err = o.server.Query(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name = '"+o.name+"'", &n)
	return n - int(o.pool.Stat().TotalConns()), err
}
