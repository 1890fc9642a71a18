package pgkv_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/watchkv/watchkv/examples/pgkv"
	"github.com/watchkv/watchkv/kv"
)

// putMany puts a key n times, and returns the revision of the last put.
func putMany(t *testing.T, o *opened, key string, n int) (last kv.Revision) {
	t.Helper()
	for i := range n {
		var err error
		if last, err = o.Put(t.Context(), key, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// oldest returns the oldest revision that can still be watched, from the error of a watch.
func oldest(t *testing.T, o *opened) kv.Revision {
	t.Helper()
	for _, err := range o.Watch(t.Context(), kv.All(), 0) {
		var compacted *kv.CompactedError
		if errors.As(err, &compacted) {
			return compacted.Oldest
		}
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	return 1
}

func TestW8TrimKeepsANumberOfRevisions(t *testing.T) {
	o := open(t, shared, newName("trim"))
	putMany(t, o, "k", 20)
	for _, step := range []struct {
		keep int64
		want kv.Revision
	}{{100, 1}, {20, 1}, {5, 16}, {7, 16}, {1, 20}, {0, 20}} {
		if err := o.Trim(t.Context(), pgkv.Keep{Revisions: step.keep}); err != nil {
			t.Fatal(err)
		}
		if got := oldest(t, o); got != step.want {
			t.Errorf("after Trim to %d of 20 revisions the oldest is %d, want %d", step.keep, got, step.want)
		}
	}
	if e, err := kv.GetKey(t.Context(), o, "k"); err != nil || e.Version != 20 {
		t.Errorf("after Trim the key is at version %d, %v, want 20", e.Version, err)
	}
	var left int
	if err := shared.Query(t.Context(), "SELECT count(*) FROM "+o.schema+".changes", &left); err != nil || left != 1 {
		t.Errorf("%d changes are left in the table, %v, want 1", left, err)
	}
}

func TestW8TrimKeepsRecentRevisions(t *testing.T) {
	o := open(t, shared, newName("trim"))
	putMany(t, o, "k", 6)
	age := func(upTo int) {
		t.Helper()
		sql := fmt.Sprintf("UPDATE %s.changes SET at = at - interval '2 hours' WHERE revision <= %d", o.schema, upTo)
		if err := shared.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		old  int
		want kv.Revision
	}{{0, 1}, {4, 5}, {6, 6}} {
		age(step.old)
		if err := o.Trim(t.Context(), pgkv.Keep{Age: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if got := oldest(t, o); got != step.want {
			t.Errorf("revisions up to %d of 6 are older than the limit, and the oldest that is left is %d, want %d", step.old, got, step.want)
		}
	}
}

func TestCompactRefusesTheFuture(t *testing.T) {
	o := open(t, shared, newName("compact"))
	last := putMany(t, o, "k", 2)
	if err := o.Compact(t.Context(), last+1); !errors.Is(err, kv.ErrInvalidRange) {
		t.Errorf("Compact(%d) = %v, want ErrInvalidRange", last+1, err)
	}
	if got := oldest(t, o); got != 1 {
		t.Errorf("a compaction that was refused has left revision %d as the oldest", got)
	}
}

func TestMigrateMayBeCalledConcurrentlyAndRepeatedly(t *testing.T) {
	o := open(t, shared, newName("migrate"))
	last := putMany(t, o, "k", 3)
	config := pgkv.Config{Schema: newName("Migrate \"new\" ")}
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for _, c := range []pgkv.Config{{Schema: o.schema}, config} {
				if err := pgkv.Migrate(t.Context(), o.pool, c); err != nil {
					t.Errorf("Migrate: %v", err)
				}
			}
		})
	}
	running.Wait()
	if snapshot, err := o.Get(t.Context(), kv.All()); err != nil || snapshot.Revision != last {
		t.Errorf("after Migrate of a store at revision %d it is at %d, %v", last, snapshot.Revision, err)
	}
	s, err := pgkv.Open(t.Context(), o.pool, config)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if rev, err := s.Put(t.Context(), "k", nil); err != nil || rev != 1 {
		t.Errorf("the first Put into a schema with a difficult name: %d, %v, want revision 1", rev, err)
	}
}

func TestOpenRefusesTablesOfAnotherVersion(t *testing.T) {
	o := open(t, shared, newName("version"))
	if _, err := pgkv.Open(t.Context(), o.pool, pgkv.Config{Schema: newName("missing")}); !errors.Is(err, kv.ErrUnsupported) ||
		!strings.Contains(err.Error(), "Migrate") {
		t.Errorf("Open of a schema that was not migrated: %v, want ErrUnsupported, and what to do", err)
	}
	if err := shared.Exec(t.Context(), "UPDATE "+o.schema+".state SET version = 99"); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Open":    func() error { _, err := pgkv.Open(t.Context(), o.pool, pgkv.Config{Schema: o.schema}); return err }(),
		"Migrate": pgkv.Migrate(t.Context(), o.pool, pgkv.Config{Schema: o.schema}),
	} {
		if !errors.Is(err, kv.ErrUnsupported) {
			t.Errorf("%s of tables of a newer version: %v, want ErrUnsupported", name, err)
		}
	}
}

func TestErrors(t *testing.T) {
	o := open(t, shared, newName("errors"))
	role := newName("reader")
	if err := shared.Exec(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN; GRANT USAGE ON SCHEMA %s TO %[1]s; GRANT SELECT ON ALL TABLES IN SCHEMA %[2]s TO %[1]s",
		role, o.schema)); err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), shared.URL("&user="+role))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	reader, err := pgkv.Open(t.Context(), pool, pgkv.Config{Schema: o.schema})
	if err != nil {
		t.Fatal(err)
	}
	last := putMany(t, o, "k", 1)
	if _, err := reader.Put(t.Context(), "k", nil); !errors.Is(err, kv.ErrPermission) {
		t.Errorf("a Put by a role that may only read: %v, want ErrPermission", err)
	}
	for batch, err := range reader.Watch(t.Context(), kv.Key("k"), last-1) {
		if err != nil || batch.Revision != last {
			t.Errorf("a Watch by a role that may only read: %v, %v", batch, err)
		}
		break
	}
	if _, err := o.Put(t.Context(), strings.Repeat("k", pgkv.MaxKey), nil); err != nil {
		t.Errorf("a Put of the longest key: %v", err)
	}
	if _, err := o.Put(t.Context(), strings.Repeat("k", pgkv.MaxKey+1), nil); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("a Put of a key that is too long: %v, want ErrTooLarge", err)
	}
	pool.Close()
	if _, err := reader.Get(t.Context(), kv.All()); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("a Get when the pool is closed: %v, want ErrClosed", err)
	}
	for _, err := range reader.Watch(context.Background(), kv.All(), 0) {
		if !errors.Is(err, kv.ErrClosed) {
			t.Errorf("a Watch when the pool is closed: %v, want ErrClosed", err)
		}
		break
	}
}
