package pgkv_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/watchkv/watchkv/examples/pgkv"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// costs returns how many statements do sends.
func costs(t *testing.T, o *opened, do func() error) int64 {
	t.Helper()
	before := o.statements.Load()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	return o.statements.Load() - before
}

// The README says what calls cost the database. This test checks it.
func TestEachCallIsOneStatement(t *testing.T) {
	o := open(t, shared, newName("cost"))
	large := make([]kv.Op, 100)
	for i := range large {
		large[i] = kv.PutOp(fmt.Sprint(i), make([]byte, 1000))
	}
	for name, call := range map[string]func() error{
		"Get of a key":  func() error { _, err := o.Get(t.Context(), kv.Key("k")); return err },
		"Get of all":    func() error { _, err := o.Get(t.Context(), kv.All()); return err },
		"Stat":          func() error { _, err := o.Stat(t.Context(), kv.All()); return err },
		"Summarize":     func() error { _, err := o.Summarize(t.Context(), kv.All(), 1, 1); return err },
		"Put":           func() error { _, err := o.Put(t.Context(), "k", nil); return err },
		"Put, conflict": func() error { o.Put(t.Context(), "k", nil, kv.IfRevision(99999)); return nil },
		"Delete":        func() error { _, err := o.Delete(t.Context(), "k"); return err },
		"Commit":        func() error { _, err := o.Commit(t.Context(), large...); return err },
		"Compact":       func() error { return o.Compact(t.Context(), 0) },
	} {
		if n := costs(t, o, call); n != 1 {
			t.Errorf("%s sent %d statements, want 1", name, n)
		}
	}
}

// A Store has one connection for all watches. The beginning of a watch is one statement, an update is one statement for all watches, and idle watches
// cost only the poll of the Store.
func TestManyWatchesCostAsMuchAsOne(t *testing.T) {
	const watches, updates = 200, 10
	o := openAt(t, shared, shared.URL(""), pgkv.Config{Schema: newName("cost"), Poll: time.Hour})
	writer := open(t, shared, o.schema)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	values := make([]*value.Value[string], watches)
	watchers := make([]*value.Watcher[string], watches)
	putMany(t, writer, "0", 1)
	before := o.statements.Load()
	const all = 2*watches + 3 // a read and a watch of each Value, and those of the shared connection
	began := costs(t, o, func() error {
		for i := range values {
			values[i] = value.New(o.Store, fmt.Sprint(i%2), value.String, value.WithDefault("none"))
			watchers[i] = values[i].Watch()
			t.Cleanup(func() { watchers[i].Close() })
		}
		return until(ctx, func() (bool, error) { // all watch, and the connection that they share has begun
			for _, v := range values {
				if status := v.Status(); !status.Connected {
					return false, fmt.Errorf("%+v", status)
				}
			}
			n, err := o.followers(ctx)
			return n == 1 && o.statements.Load()-before >= all-1, err
		})
	})
	if began > all {
		t.Errorf("%d Values began to watch with %d statements, want at most %d: a read and a watch each, and those of the shared connection",
			watches, began, all)
	}
	first := costs(t, o, func() error {
		for _, w := range watchers {
			if _, err := w.Get(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if first > watches {
		t.Errorf("the first Gets of %d Values cost %d statements, want one each at most: a read that begins after the call", watches, first)
	}
	updated := costs(t, o, func() error {
		for n := range updates {
			if _, err := writer.Put(ctx, "0", fmt.Append(nil, "update ", n+1)); err != nil {
				return err
			}
		}
		for i, w := range watchers {
			for seen := ""; i%2 == 0 && seen != fmt.Sprint("update ", updates); {
				var err error
				if seen, err = w.Get(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if updated > updates {
		t.Errorf("%d updates that %d Values have seen cost %d statements, want one each at most", updates, watches/2, updated)
	}
	if n, err := o.followers(ctx); n != 1 || err != nil {
		t.Errorf("%d connections follow the changes, %v, want 1", n, err)
	}
}
