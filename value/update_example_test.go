package value_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

func ExampleUpdate() {
	ctx := context.Background()
	store := memory.New()
	store.Put(ctx, "/app/limits", []byte(`{"rps":10}`))

	raised, err := value.Update(ctx, store, "/app/limits", value.JSONCodec[Limits](),
		func(old Limits, exists bool) (Limits, error) { // called again if another writer was faster
			if old.RPS >= 1000 {
				return old, errors.New("that is enough") // nothing is written
			}
			old.RPS += 10
			return old, nil
		})
	switch {
	case errors.Is(err, value.ErrOutcomeUnknown):
		fmt.Println("it may have been written, once:", err)
	case err != nil:
		fmt.Println("nothing was written:", err)
	default:
		fmt.Println(raised.Value.RPS, "at revision", raised.Revision)
	}
	// Output: 20 at revision 3
}

// A change that may be made twice needs no help when an acknowledgement is lost: the second call sees that it was made.
func ExampleIdempotent() {
	ctx := context.Background()
	store := memory.New()
	for range 2 {
		members, err := value.Update(ctx, store, "/team", value.JSONCodec[[]string](),
			func(old []string, exists bool) ([]string, error) {
				if slices.Contains(old, "ada") {
					return old, nil // unchanged: nothing is written
				}
				return append(old, "ada"), nil
			}, value.Idempotent())
		fmt.Println(members.Value, members.Revision, err)
	}
	// Output:
	// [ada] 2 <nil>
	// [ada] 2 <nil>
}

// The first program that creates the key has the name. The others get ErrConflict.
func ExampleCreate() {
	ctx := context.Background()
	store := memory.New()
	for _, owner := range []string{"ada", "bob"} {
		_, err := value.Create(ctx, store, "/names/gopher", value.StringCodec(), owner)
		switch {
		case errors.Is(err, kv.ErrConflict):
			fmt.Println(owner, "is too late")
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(owner, "has the name")
		}
	}
	// Output:
	// ada has the name
	// bob is too late
}

// Only the owner may give the name back. The key is deleted only if it has not changed since check has seen it.
func ExampleDelete() {
	ctx := context.Background()
	store := memory.New()
	store.Put(ctx, "/names/gopher", []byte("ada"))

	giveBack := func(owner string) error {
		_, err := value.Delete(ctx, store, "/names/gopher", value.StringCodec(), func(old string) error {
			if old != owner {
				return fmt.Errorf("it belongs to %s", old)
			}
			return nil
		})
		return err
	}
	fmt.Println(giveBack("bob"))
	fmt.Println(giveBack("ada"))
	fmt.Println(errors.Is(giveBack("ada"), kv.ErrNotFound))
	// Output:
	// it belongs to ada
	// <nil>
	// true
}

// A codec is two functions. This one stores a number as text.
func ExampleCodec() {
	number := value.Codec[int]{
		Encode: func(n int) ([]byte, error) { return strconv.AppendInt(nil, int64(n), 10), nil },
		Decode: func(b []byte) (int, error) { return strconv.Atoi(string(b)) },
	}

	ctx := context.Background()
	store := memory.New()
	for range 3 {
		if _, err := value.Update(ctx, store, "/counter", number, func(n int, _ bool) (int, error) { return n + 1, nil }); err != nil {
			fmt.Println(err)
			return
		}
	}
	n, err := value.New(store, "/counter", number.Decode).Get(ctx)
	fmt.Println(n, err)
	// Output: 3 <nil>
}
