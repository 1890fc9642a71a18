package value_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

type Limits struct{ RPS int }

func ExampleWatcher_Get() {
	ctx := context.Background()
	store := memory.New()
	store.Put(ctx, "/app/limits", []byte(`{"rps":10}`))

	w := value.New(store, "/app/limits", value.JSON[Limits]).Watch()
	defer w.Close()
	for {
		l, err := w.Get(ctx) // first the current value, then waits until there is a newer one
		if errors.Is(err, value.ErrDeleted) {
			fmt.Println("deleted")
			return
		} else if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(l.RPS)
		if l.RPS == 10 {
			store.Put(ctx, "/app/limits", []byte(`{"rps":20}`))
		} else {
			store.Delete(ctx, "/app/limits")
		}
	}
	// Output:
	// 10
	// 20
	// deleted
}

func ExampleWithDefault() {
	ctx := context.Background()
	v := value.New(memory.New(), "/app/limits", value.JSON[Limits], value.WithDefault(Limits{RPS: 5}))
	w := v.Watch()
	defer w.Close()
	l, err := w.Get(ctx)
	fmt.Println(l.RPS, err)
	// Output: 5 <nil>
}

func ExampleEveryUpdate() {
	ctx := context.Background()
	store := memory.New()
	store.Put(ctx, "/jobs", []byte("a"))
	w := value.New(store, "/jobs", value.String).Watch(value.EveryUpdate())
	defer w.Close()
	for v, err := range w.Updates(ctx) {
		if err != nil || v == "d" {
			fmt.Println(v, err)
			return
		}
		fmt.Println(v)
		if v == "a" {
			for _, next := range []string{"b", "c", "d"} {
				store.Put(ctx, "/jobs", []byte(next))
			}
		}
	}
	// Output:
	// a
	// b
	// c
	// d <nil>
}

func ExampleWhere() {
	ctx := context.Background()
	store := memory.New()
	store.Put(ctx, "/n", []byte("4"))
	w := value.New(store, "/n", value.JSON[int]).Watch()
	defer w.Close()
	n, err := w.Get(ctx, value.Where(func(n int) bool { return n > 3 }))
	fmt.Println(n, err)
	// Output: 4 <nil>
}

// A program reads its own write: Get returns that write or a later one, even if the watch has not delivered it yet.
func ExampleAtLeast() {
	ctx := context.Background()
	store := memory.New()
	w := value.New(store, "/app/limits", value.JSON[Limits]).Watch()
	defer w.Close()
	store.Put(ctx, "/app/limits", []byte(`{"rps":10}`))
	rev, err := store.Put(ctx, "/app/limits", []byte(`{"rps":20}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := w.Get(ctx, value.AtLeast[Limits](rev))
	fmt.Println(l.RPS, err)
	// Output: 20 <nil>
}

func ExampleValue_Chan() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	store := memory.New()
	store.Put(ctx, "/app/limits", []byte(`{"rps":10}`))
	limits := value.New(store, "/app/limits", value.JSON[Limits]).Chan(ctx)
	stop := make(chan struct{})
	select {
	case l := <-limits:
		fmt.Println(l.Value.RPS, l.Err)
	case <-stop:
	}
	// Output: 10 <nil>
}

func ExampleValue_Latest() {
	ctx := context.Background()
	store := memory.New()
	store.Put(ctx, "/app/limits", []byte(`{"rps":10}`))
	v := value.New(store, "/app/limits", value.JSON[Limits])
	w := v.Watch() // keeps it current
	defer w.Close()
	w.Get(ctx)
	l, ok := v.Latest()
	fmt.Println(l.Value.RPS, l.Revision, ok)
	// Output: 10 2 true
}

// A test of a program that follows a value: no sleeps, no ports, no retries.
func TestAProgramInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		var applied []int
		go func() { // the program
			w := value.New(store, "/app/limits", value.JSON[Limits]).Watch()
			defer w.Close()
			for l, err := range w.Updates(t.Context()) {
				if err == nil {
					applied = append(applied, l.RPS)
				}
			}
		}()
		for i := 1; i <= 2; i++ {
			store.Put(t.Context(), "/app/limits", fmt.Appendf(nil, `{"rps":%d}`, i*10))
			synctest.Wait()
			if len(applied) != i || applied[i-1] != i*10 {
				t.Fatalf("after put %d the program has applied %v", i, applied)
			}
		}
	})
}
