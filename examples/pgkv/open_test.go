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
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend/backendtest"
)

// opened is a Store, and what tests do to it from outside.
type opened struct {
	*pgkv.Store
	pool   *pgxpool.Pool
	link   *backendtest.Link
	name   string // of its connections
	schema string
}

// names numbers schemas and connections.
var names atomic.Int64

func newName(of string) string { return fmt.Sprint(of, names.Add(1)) }

// open opens a schema, over connections of its own, and makes it if there is none. The pages, and with them the window, are small.
func open(t conformance.T, s *server, schema string) *opened {
	t.Helper()
	return openAt(t, s.url(""), pgkv.Config{
		Schema: schema, Page: 8, Poll: 200 * time.Millisecond, Timeout: time.Second, Bookmarks: 20 * time.Millisecond,
	})
}

// openAt is open with a connection string and settings.
func openAt(t conformance.T, url string, settings pgkv.Config) *opened {
	t.Helper()
	o := &opened{name: newName("client"), schema: settings.Schema}
	config, err := pgxpool.ParseConfig(url + "&application_name=" + o.name)
	if err != nil {
		t.Fatalf("%v", err)
	}
	config.MaxConns = 10
	o.link = backendtest.NewLink(config.ConnConfig.DialFunc)
	config.ConnConfig.DialFunc = o.link.DialContext
	o.pool, err = pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if err := pgkv.Migrate(t.Context(), o.pool, settings); err != nil {
		t.Fatalf("%v", err)
	}
	if o.Store, err = pgkv.Open(t.Context(), o.pool, settings); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		o.Close()
		o.pool.Close()
		o.link.Close()
	})
	return o
}

// usable waits until o can be used again, as after a fault. The pool may hold connections that have ended: they are thrown away.
func (o *opened) usable(ctx context.Context) error {
	o.pool.Reset()
	return until(ctx, func() (bool, error) {
		_, err := o.Get(ctx, kv.Key("any"))
		return err == nil, err
	})
}

// until asks done again and again until it holds.
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

// backup copies the tables into a schema beside them. restore takes the copy back in one transaction, as pg_restore does with
// --single-transaction.
func (s *server) backup(ctx context.Context, o *opened) (restore func(context.Context) error, err error) {
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
	return func(ctx context.Context) error { return s.exec(ctx, restored) }, s.exec(ctx, sql)
}

// exec runs statements on a connection of its own.
func (s *server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.url(""))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.PgConn().Exec(ctx, sql).Close()
}

// query runs a statement that has one row, on a connection of its own.
func (s *server) query(ctx context.Context, sql string, fields ...any) error {
	conn, err := pgx.Connect(ctx, s.url(""))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, sql).Scan(fields...)
}

// followers returns how many connections of o are not of its pool, but follow the changes.
func (s *server) followers(ctx context.Context, o *opened) (n int, err error) {
	err = s.query(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name = '"+o.name+"'", &n)
	return n - int(o.pool.Stat().TotalConns()), err
}
