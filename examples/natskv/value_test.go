package natskv_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/value"
)

type limits struct{ RPS int }

// What programs use is package value. It knows nothing of NATS.
func TestValueFollowsTheKeyThroughRestartsOfTheServer(t *testing.T) {
	server := startServer(t)
	store := open(t, server, "app")
	v := value.New(store, "/app/limits", value.JSON[limits], value.WithRetry(10*time.Millisecond, 100*time.Millisecond))
	w := v.Watch()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	put := func(encoded string) {
		t.Helper()
		if _, err := store.Put(ctx, "/app/limits", []byte(encoded)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(rps int) {
		t.Helper()
		if l, err := w.Get(ctx); err != nil || l.RPS != rps {
			t.Fatalf("Get = %v, %v, want %d", l, err, rps)
		}
	}
	put(`{"RPS":10}`)
	want(10)
	put(`{"RPS":20}`)
	want(20)

	server.stop()
	if err := server.start(); err != nil {
		t.Fatal(err)
	}
	if err := store.usable(ctx); err != nil {
		t.Fatal(err)
	}
	put(`{"RPS":30}`)
	want(30)

	if _, err := store.Delete(ctx, "/app/limits"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Get(ctx); !errors.Is(err, value.ErrDeleted) {
		t.Fatalf("Get after the deletion = %v, want ErrDeleted", err)
	}

	store.link.Swallow()
	other := open(t, server, "app")
	if _, err := other.Put(ctx, "/app/limits", []byte(`{"RPS":40}`)); err != nil {
		t.Fatal(err)
	}
	store.link.Heal()
	want(40)

	if status := v.Status(); status.Holes != 0 || status.Resets != 0 {
		t.Errorf("Status = %+v, want no holes and no resets", status)
	}
}
