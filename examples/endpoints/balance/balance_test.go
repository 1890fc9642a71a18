package balance_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/examples/endpoints/balance"
	"github.com/watchkv/watchkv/examples/endpoints/endpoint"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// inBubble runs a test on the store in memory, with endpoints a and b.
func inBubble(t *testing.T, test func(t *testing.T, store *fault.Store)) {
	synctest.Test(t, func(t *testing.T) {
		store := fault.New(memory.New())
		put(t, store, "a", `{"addr":"10.0.0.1:80"}`)
		put(t, store, "b", `{"addr":"10.0.0.2:80"}`)
		test(t, store)
		if c := store.Counts(); c.Streams != 0 {
			t.Errorf("%d watches of the store are left", c.Streams)
		}
	})
}

func put(t *testing.T, store kv.Writer, instance, encoded string) {
	t.Helper()
	if _, err := store.Put(t.Context(), endpoint.Key("greeter", instance), []byte(encoded)); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, store kv.Store) *balance.List {
	t.Helper()
	l, err := balance.Open(t.Context(), endpoint.NewMap(store, "greeter"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func want(t *testing.T, l *balance.List, addrs ...string) {
	t.Helper()
	synctest.Wait()
	var got []string
	for _, e := range l.All() {
		got = append(got, e.Addr)
	}
	if !slices.Equal(got, addrs) {
		t.Errorf("the list is %v, want %v", got, addrs)
	}
}

func TestTheListFollowsTheEndpoints(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fault.Store) {
		l := open(t, store)
		defer l.Close()
		want(t, l, "10.0.0.1:80", "10.0.0.2:80") // at once, because Open waits for the list
		put(t, store, "c", `{"addr":"10.0.0.3:80"}`)
		want(t, l, "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
		put(t, store, "b", `{"addr":"10.0.0.9:80"}`)
		want(t, l, "10.0.0.1:80", "10.0.0.9:80", "10.0.0.3:80")
		store.Delete(t.Context(), endpoint.Key("greeter", "a"))
		want(t, l, "10.0.0.9:80", "10.0.0.3:80")
	})
}

func TestPickTakesTurns(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fault.Store) {
		l := open(t, store)
		defer l.Close()
		picked := make(map[string]int)
		for range 10 {
			e, err := l.Pick()
			if err != nil {
				t.Fatal(err)
			}
			picked[e.Addr]++
		}
		if got := fmt.Sprint(picked); got != "map[10.0.0.1:80:5 10.0.0.2:80:5]" {
			t.Errorf("picked %s, want each endpoint five times", got)
		}
		for _, instance := range []string{"a", "b"} {
			store.Delete(t.Context(), endpoint.Key("greeter", instance))
		}
		synctest.Wait()
		if e, err := l.Pick(); !errors.Is(err, balance.ErrNoEndpoint) {
			t.Errorf("picked %v, %v from an empty list", e, err)
		}
	})
}

func TestABadValueAffectsNoOtherEndpoint(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fault.Store) {
		put(t, store, "c", `{`) // it never had a good value
		l := open(t, store)
		defer l.Close()
		want(t, l, "10.0.0.1:80", "10.0.0.2:80")
		put(t, store, "a", `{`)
		want(t, l, "10.0.0.1:80", "10.0.0.2:80") // a keeps its last good value
	})
}

func TestAnOutageDoesNotChangeTheList(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fault.Store) {
		l := open(t, store)
		defer l.Close()
		store.Cut()
		time.Sleep(time.Hour)
		want(t, l, "10.0.0.1:80", "10.0.0.2:80")
		store.Heal()
		store.Delete(t.Context(), endpoint.Key("greeter", "a"))
		want(t, l, "10.0.0.2:80")
	})
}

// The reads for the maximum age find a watch that no member serves any more.
func TestTheListIsRightWithinASecondOfTheDeathOfAWatch(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fault.Store) {
		l := open(t, store)
		defer l.Close()
		synctest.Wait()
		store.Silence()
		store.Delete(t.Context(), endpoint.Key("greeter", "a"))
		want(t, l, "10.0.0.1:80", "10.0.0.2:80") // the client cannot know of the change yet
		time.Sleep(time.Second)
		want(t, l, "10.0.0.2:80")
	})
}

func TestOpenWaitsForTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fault.Store) {
		store.Cut()
		began := time.Now()
		time.AfterFunc(time.Hour, func() { store.Heal() })
		l := open(t, store)
		defer l.Close()
		if d := time.Since(began); d < time.Hour || d > time.Hour+time.Minute {
			t.Errorf("Open returned after %v, want soon after the outage of an hour", d)
		}
		want(t, l, "10.0.0.1:80", "10.0.0.2:80")
	})
}

func TestOpenEndsWithItsContextAndWithItsStore(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fault.Store) {
		store.Cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := balance.Open(ctx, endpoint.NewMap(store, "greeter")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Open returned %v", err)
		}
		closed := memory.New()
		closed.Close()
		if _, err := balance.Open(t.Context(), endpoint.NewMap(closed, "greeter")); !errors.Is(err, value.ErrClosed) {
			t.Errorf("Open returned %v", err)
		}
	})
}

func TestWaitReturnsWhenTheListIsLongEnough(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fault.Store) {
		l := open(t, store)
		defer l.Close()
		three := func(all []endpoint.Endpoint) bool { return len(all) == 3 }
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.Wait(ctx, three); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait returned %v for a list of two", err)
		}
		time.AfterFunc(time.Hour, func() { put(t, store, "c", `{"addr":"10.0.0.3:80"}`) })
		if err := l.Wait(t.Context(), three); err != nil || len(l.All()) != 3 {
			t.Errorf("Wait returned %v, but the list is %v", err, l.All())
		}
	})
}
