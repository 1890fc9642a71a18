package value_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// joined is a configuration of several keys.
func joined(entries []kv.Entry) (string, error) {
	var all []string
	for _, e := range entries {
		if strings.HasPrefix(string(e.Value), "bad") {
			return "", errors.New("a bad part")
		}
		all = append(all, fmt.Sprintf("%s=%s", e.Key, e.Value))
		clear(e.Value) // a decoder may change the bytes
	}
	return strings.Join(all, " "), nil
}

func TestABundleIsOneValueOfARange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, store := t.Context(), memory.New()
		commit := func(ops ...kv.Op) kv.Revision {
			t.Helper()
			result, err := store.Commit(ctx, ops...)
			if err != nil {
				t.Fatal(err)
			}
			return result
		}
		v := value.NewBundle(store, kv.Prefix("/app/"), joined)
		w := v.Watch()
		defer w.Close()
		want := func(text string, wanted error) {
			t.Helper()
			synctest.Wait()
			got, err := w.TryGet()
			if got != text || !errors.Is(err, wanted) {
				t.Errorf("TryGet = %q, %v, want %q, %v", got, err, text, wanted)
			}
		}
		want("", value.ErrNothingNew) // absent: Get waits
		commit(kv.PutOp("/app/a", []byte("1")), kv.PutOp("/app/b", []byte("1")))
		want("/app/a=1 /app/b=1", nil)
		commit(kv.PutOp("/app/a", []byte("2")), kv.PutOp("/app/c", []byte("2")), kv.DeleteOp("/app/b"))
		want("/app/a=2 /app/c=2", nil)
		commit(kv.PutOp("/ap", nil), kv.PutOp("/app0", nil))
		want("", value.ErrNothingNew)

		at := commit(kv.PutOp("/app/a", []byte("3")), kv.PutOp("/app/c", []byte("bad")))
		synctest.Wait()
		_, err := w.TryGet()
		bad, ok := errors.AsType[*value.DecodeError](err)
		if !ok || bad.Range != kv.Prefix("/app/") || bad.Key != "" || bad.Revision != at {
			t.Errorf("TryGet = %v, want a DecodeError of the range at revision %d", err, at)
		}
		if r, ok := v.Latest(); !ok || r.Value != "/app/a=2 /app/c=2" {
			t.Errorf("Latest = %q, %v, want the complete last good value", r.Value, ok)
		}
		commit(kv.PutOp("/app/c", []byte("3")))
		want("/app/a=3 /app/c=3", nil)
		commit(kv.DeleteOp("/app/a"), kv.DeleteOp("/app/c"))
		want("", value.ErrDeleted)
		if _, err := v.Get(ctx); !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("Value.Get of an empty range = %v, want an error that matches ErrNotFound", err)
		}
	})
}

func TestABundleHasADefault(t *testing.T) {
	ctx, store := t.Context(), memory.New()
	v := value.NewBundle(store, kv.Prefix("/app/"), joined, value.WithDefault("none"))
	w := v.Watch()
	defer w.Close()
	if got, err := w.Get(ctx); got != "none" || err != nil {
		t.Errorf("Get = %q, %v, want the default", got, err)
	}
	if got, err := v.Get(ctx); got != "none" || err != nil {
		t.Errorf("Value.Get = %q, %v, want the default", got, err)
	}
}

func TestABundleNeverShowsAPartOfACommit(t *testing.T) {
	commits := 20_000
	if testing.Short() {
		commits = 2000
	}
	ctx, store := t.Context(), memory.New()
	v := value.NewBundle(store, kv.Prefix("/pair/"), func(entries []kv.Entry) (string, error) {
		if len(entries) != 2 || string(entries[0].Value) != string(entries[1].Value) {
			return "", fmt.Errorf("apart: %v", entries)
		}
		return string(entries[0].Value), nil
	})
	var readers sync.WaitGroup
	ctx, done := context.WithCancel(ctx)
	for _, opts := range [][]value.WatchOption{nil, {value.EveryUpdate()}} {
		w := v.Watch(opts...)
		readers.Go(func() {
			defer w.Close()
			for {
				got, err := w.Get(ctx)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					t.Errorf("Get = %q, %v: keys that are always committed together were seen apart", got, err)
					return
				}
				if got == fmt.Sprint(commits-1) {
					return
				}
			}
		})
	}
	for i := range commits {
		b := fmt.Append(nil, i)
		if _, err := store.Commit(ctx, kv.PutOp("/pair/a", b), kv.PutOp("/pair/b", b)); err != nil {
			t.Fatal(err)
		}
	}
	defer done()
	readers.Wait()
}
