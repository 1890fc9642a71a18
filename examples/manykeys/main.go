// Command manykeys shows what to do with more than one key: a Map of a prefix, one value that is made of several keys, and a change of a
// value. It runs on the store in memory, and takes a moment.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// Endpoint is where a service listens, as it is kept below /svc/.
type Endpoint struct {
	Addr string `json:"addr"`
}

// Config is kept in two keys, which are always committed together.
type Config struct{ User, Password string }

// Limits are kept at /app/limits.
type Limits struct {
	RPS int `json:"rps"`
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	store := memory.New()
	return errors.Join(followEndpoints(ctx, store, out), readConfig(ctx, store, out), raiseLimits(ctx, store, out))
}

// store is what all parts need.
type store interface {
	kv.ReadWriter
	kv.Committer
}

func followEndpoints(ctx context.Context, store store, out io.Writer) error {
	endpoints := value.NewMap(store, kv.Prefix("/svc/"), value.JSON[Endpoint])
	w := endpoints.Watch()
	defer w.Close()
	for step := range 4 {
		view, err := w.Get(ctx) // first all of it, at one revision, then waits for a change
		if err != nil {
			return err
		}
		for c := range view.Changes() { // since the previous View
			switch {
			case c.New == nil:
				fmt.Fprintln(out, c.Key, "is gone")
			case c.New.Err != nil:
				fmt.Fprintln(out, c.Key, "is bad") // c.New.Value is its last good value
			default:
				fmt.Fprintln(out, c.Key, "is at", c.New.Value.Addr)
			}
		}
		fmt.Fprintln(out, view.Len(), "endpoints")
		if err := change(ctx, store, step); err != nil {
			return err
		}
	}
	return nil
}

// change changes the endpoints after a step.
func change(ctx context.Context, store store, step int) error {
	ops := [][]kv.Op{
		{kv.PutOp("/svc/a", []byte(`{"addr":"10.0.0.1"}`)), kv.PutOp("/svc/b", []byte(`{"addr":"10.0.0.2"}`))},
		{kv.DeleteOp("/svc/a"), kv.PutOp("/svc/c", []byte(`{"addr":"10.0.0.3"}`))},
		{kv.PutOp("/svc/b", []byte(`{"addr":`))},
	}
	if step == len(ops) {
		return nil
	}
	_, err := store.Commit(ctx, ops[step]...)
	return err
}

func readConfig(ctx context.Context, store store, out io.Writer) error {
	_, err := store.Commit(ctx, kv.PutOp("/db/password", []byte("secret")), kv.PutOp("/db/user", []byte("app")))
	if err != nil {
		return err
	}
	config := value.NewBundle(store, kv.Prefix("/db/"), func(entries []kv.Entry) (Config, error) {
		if len(entries) != 2 {
			return Config{}, errors.New("want a password and a user")
		}
		return Config{Password: string(entries[0].Value), User: string(entries[1].Value)}, nil
	})
	c, err := config.Get(ctx) // or Watch it, like any Value
	fmt.Fprintf(out, "%+v\n", c)
	return err
}

func raiseLimits(ctx context.Context, store store, out io.Writer) error {
	limits, err := value.Update(ctx, store, "/app/limits", value.JSONCodec[Limits](),
		func(old Limits, exists bool) (Limits, error) {
			old.RPS += 10
			return old, nil
		})
	if err != nil {
		return err // if it matches value.ErrOutcomeUnknown, the write may have happened; with any other error it has not
	}
	fmt.Fprintln(out, limits.Value.RPS, "a second")
	return nil
}
