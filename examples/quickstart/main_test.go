package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// The program prints this at the end, only if each watcher ended at the newest value.
const wellEnded = "\nEvery watcher ended at the newest value, 120."

func TestInMemory(t *testing.T) {
	leaktest.Check(t)
	wantRows(t, start(t, "-memory"), "cut B off, put 60", "connect B again")
}

func TestOnItsOwnCluster(t *testing.T) {
	leaktest.Check(t)
	wantRows(t, start(t), "the leader, put 30", "heal the partition", "connect it again")
}

func TestOnUsersCluster(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	store := etcd.New(cluster.Client())
	before, err := store.Put(t.Context(), "/app/limits", []byte("the user's own"))
	if err != nil {
		t.Fatal(err)
	}

	wantRows(t, start(t, "-endpoints", strings.Join(cluster.Endpoints(), ",")), "delete the key", "put 50")

	// The program has left no key and touched no other key. Its writes are still in the history.
	left, err := store.Get(t.Context(), kv.All())
	if err != nil {
		t.Fatal(err)
	}
	if len(left.Entries) != 1 || left.Entries[0].ModRevision != before {
		t.Errorf("the cluster holds %v; want only what it held before, at revision %d", left.Entries, before)
	}
	for _, err := range store.Watch(t.Context(), kv.All(), 0) {
		if err != nil {
			t.Errorf("the history from before cannot be watched: %v", err)
		}
		break
	}
}

func TestUnreachableCluster(t *testing.T) {
	leaktest.Check(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	no := errors.New("the user has lost patience")
	cancel(no)
	if err := run(ctx, io.Discard, []string{"-endpoints", "127.0.0.1:1"}); !errors.Is(err, no) {
		t.Errorf("run = %v, want %v", err, no)
	}
}

func TestMistakesInTheArguments(t *testing.T) {
	for _, args := range [][]string{{"-memory", "-endpoints", "127.0.0.1:1"}, {"memory"}} {
		if err := run(t.Context(), io.Discard, args); err == nil || errors.Is(err, flag.ErrHelp) {
			t.Errorf("run %q = %v, want an error", args, err)
		}
	}
}

// start runs the program and returns what it printed.
func start(t *testing.T, args ...string) string {
	t.Helper()
	var out strings.Builder
	if err := run(t.Context(), &out, args); err != nil {
		t.Fatalf("%v, after it printed\n%s", err, out.String())
	}
	return out.String()
}

func wantRows(t *testing.T, out string, rows ...string) {
	t.Helper()
	for _, want := range append(rows, wellEnded) {
		if !strings.Contains(out, want) {
			t.Errorf("the program did not print %q, but\n%s", want, out)
		}
	}
}
