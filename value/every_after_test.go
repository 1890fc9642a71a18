package value_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

const v4after = "V4: a program that continues after a stored revision gets each update after it, once and in order"

func TestV4EveryUpdateAfterAStoredRevision(t *testing.T) {
	each(t, v4after, func(w *world) {
		var at []kv.Revision
		for i := range 6 {
			at = append(at, w.putNumbers(i, i))
			w.putOther()
		}
		for i := range 6 {
			a := watch(w, w.number(), value.EveryUpdateAfter(at[i]))
			a.GivesEach(numbers(i+1, 5)...)
			a.HasNothing()
			a.End()
		}
		after := watch(w, w.number(), value.EveryUpdateAfter(at[5]+1)) // the revision of another key
		after.HasNothing()
		w.putsArrive(after, 6, 9)
	})
}

// The Value has been watched before, but no watcher wanted every update. So the Value has kept none.
func TestV4EveryUpdateAfterWithAWatcherOfTheNewest(t *testing.T) {
	each(t, v4after, func(w *world) {
		first := w.putNumbers(0, 0)
		v := w.number()
		newest := watch(w, v)
		newest.Gives(0)
		w.Streaming(1)
		last := w.putNumbers(1, 8)
		newest.ComesTo(8)
		a := watch(w, v, value.EveryUpdateAfter(first))
		a.GivesEach(numbers(1, 8)...)
		if a.Revision() != last {
			w.broken("the last update is of revision %d, want %d", a.Revision(), last)
		}
		w.putsArrive(a, 9, 12)
	})
}

func TestV4EveryUpdateAfterADeletion(t *testing.T) {
	each(t, v4after+", deletions too", func(w *world) {
		first := w.putNumbers(0, 0)
		w.delete()
		a := watch(w, w.number(), value.EveryUpdateAfter(first))
		a.Fails(value.ErrDeleted)
		w.putsArrive(a, 1, 2)
		w.delete()
		w.putNumbers(3, 3)
		b := watch(w, w.number(), value.EveryUpdateAfter(first))
		b.Fails(value.ErrDeleted)
		b.GivesEach(1, 2)
		b.Fails(value.ErrDeleted)
		b.GivesEach(3)
	})
}

func TestV4EveryUpdateAfterARevisionThatWasCompacted(t *testing.T) {
	each(t, v4after+"; where history is gone it gets one GapError and the newest", func(w *world) {
		first := w.putNumbers(0, 0)
		last := w.putNumbers(1, 5)
		w.compact()
		a := watch(w, w.number(), value.EveryUpdateAfter(first))
		a.HasGap(first, last, kv.ErrCompacted)
		a.GivesEach(5)
		w.putsArrive(a, 6, 7)
		b := watch(w, w.number(), value.EveryUpdateAfter(last)) // nothing is missing
		b.GivesEach(6, 7)
		w.putsArrive(b, 8, 9)
	})
}

func TestV4EveryUpdateAfterTheStoreWasRestored(t *testing.T) {
	inBubble(t, v4after+"; a store that has not reached the revision was restored", func(w *world) {
		w.putNumbers(0, 0)
		w.must(w.backend.Backup(w.Context()))
		after := w.putNumbers(1, 8)
		w.must(w.backend.Restore(w.Context()))
		now := w.putNumbers(20, 20)
		a := watch(w, w.number(), value.EveryUpdateAfter(after))
		a.HasGap(after, now, kv.ErrReset)
		a.GivesEach(20)
		w.putsArrive(a, 21, 23)
	})
}

func TestV4EveryUpdateAfterRevisionZeroIsAllOfTheHistory(t *testing.T) {
	inBubble(t, v4after, func(w *world) {
		w.putNumbers(0, 20)
		a := watch(w, w.number(value.WithBacklog(1)), value.EveryUpdateAfter(0))
		a.GivesEach(numbers(0, 20)...)
		w.putsArrive(a, 21, 22)
	})
}

func TestEveryUpdateAfterRefusesWhatItCannotDo(t *testing.T) {
	store := memory.New()
	for range 3 { // so that there is a history
		if _, err := store.Put(t.Context(), "/a", nil); err != nil {
			t.Fatal(err)
		}
	}
	for name, get := range map[string]func(context.Context) error{
		"negative": func(ctx context.Context) error {
			w := value.New(store, "/a", value.String).Watch(value.EveryUpdateAfter(-1))
			defer w.Close()
			_, err := w.Get(ctx)
			return err
		},
		"of a Map": func(ctx context.Context) error {
			for _, err := range value.NewMap(store, kv.Prefix("/a"), value.String).Updates(ctx, value.EveryUpdateAfter(1)) {
				return err
			}
			return nil
		},
		"of a Map of one key": func(ctx context.Context) error {
			for _, err := range value.NewMap(store, kv.Key("/a"), value.String).Updates(ctx, value.EveryUpdateAfter(1)) {
				return err
			}
			return nil
		},
		"of a bundle of one key": func(ctx context.Context) error {
			decode := func(entries []kv.Entry) (int, error) { return len(entries), nil }
			return (<-value.NewBundle(store, kv.Key("/a"), decode).Chan(ctx, value.EveryUpdateAfter(0))).Err
		},
		"on a channel": func(ctx context.Context) error {
			return (<-value.New(store, "/a", value.String).Chan(ctx, value.EveryUpdateAfter(-1))).Err
		},
	} {
		err := get(t.Context())
		if err == nil || !value.IsFinal(err) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: promised: what cannot be done is refused with a final error; Get returned %v", name, err)
		}
	}
	if n := store.Watches(); n != 0 {
		t.Errorf("%d watches are left", n)
	}
}

// A program that stores which changes it has processed, and is started again.
func ExampleEveryUpdateAfter() {
	ctx := context.Background()
	store := memory.New()
	store.Put(ctx, "/order", []byte("one"))

	orders := value.New(store, "/order", value.String)
	w := orders.Watch(value.EveryUpdate())
	order, _ := w.Get(ctx)
	processed := w.Revision() // the program stores this together with the result
	w.Close()
	fmt.Println(order)

	store.Put(ctx, "/order", []byte("two")) // while the program does not run
	store.Put(ctx, "/order", []byte("three"))

	w = orders.Watch(value.EveryUpdateAfter(processed))
	defer w.Close()
	for range 2 {
		order, _ = w.Get(ctx)
		fmt.Println(order)
	}
	// Output:
	// one
	// two
	// three
}
