package natskv_test

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/examples/natskv"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend/backendtest"
)

// opened is a store with the faults that tests make from outside.
type opened struct {
	*natskv.Store
	js     jetstream.JetStream
	link   *backendtest.Link
	bucket string
}

// open opens a bucket, over a separate connection, and makes it if there is none.
func open(t conformance.T, s *natsServer, bucket string) *opened {
	t.Helper()
	l := backendtest.NewLink(s.dial)
	js := connect(t, l)
	store, err := natskv.Create(t.Context(), js, natskv.Config{
		Bucket:    bucket,
		Buffer:    8,
		Heartbeat: 500 * time.Millisecond,
		Bookmarks: 20 * time.Millisecond,
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return &opened{store, js, l, bucket}
}

// usable waits until o can be used again, as after a fault.
func (o *opened) usable(ctx context.Context) error {
	return until(ctx, func() (bool, error) {
		_, err := o.Get(ctx, kv.Key("any"))
		return err == nil, err
	})
}
