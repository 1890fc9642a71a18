package natskv

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Progress makes every watch of the bucket yield a bookmark. It writes a message that belongs to no key. The bookmark's revision is not below that of
// any earlier write.
//
// Programs rarely need it: package value asks for none.
func (s *Store) Progress(ctx context.Context) error {
	// NATS's own tools take the message for a deleted key, and do not show it.
	_, err := ask(ctx, s, func(ctx context.Context) (*jetstream.PubAck, error) {
		return s.js.PublishMsg(ctx, &nats.Msg{Subject: s.prefix + noteToken, Header: deletion()},
			jetstream.WithExpectStream(s.name))
	})
	return failures.Op(ctx, "progress", err)
}
