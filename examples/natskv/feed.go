package natskv

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// feed is a consumer of the stream for one reader. It ends when a message does not arrive.
//
// When a message is lost, the client's ordered consumer would silently restart at the next message that the stream
// still has. A feed ends instead, and its reader finds out whether it can continue from its position.
type feed struct {
	store    *Store
	name     string
	consumer jetstream.Consumer
	ctx      context.Context        // ends with the connection
	end      func()                 // ends ctx
	batch    jetstream.MessageBatch // the last requested batch; nil before, and when all of it has come
	received uint64                 // the consumer's own count of messages
	pending  uint64                 // how many messages had not come yet, according to the last message
}

// follow begins a feed. It must be closed.
func (s *Store) follow(ctx context.Context, config jetstream.ConsumerConfig) (*feed, error) {
	f := &feed{store: s, name: rand.Text()}
	// What the server sends over a connection that is about to break is lost, and is not sent again. If no message
	// follows, no count shows the loss.
	f.ctx, f.end = s.whileConnected(ctx)

	config.Name = f.name
	config.AckPolicy = jetstream.AckNonePolicy
	config.MemoryStorage = true
	config.Replicas = 1
	config.InactiveThreshold = 15 * time.Second // only for consumers whose reader has vanished
	var err error
	f.consumer, err = ask(f.ctx, s, func(ctx context.Context) (jetstream.Consumer, error) {
		return s.stream.CreateConsumer(ctx, config)
	})
	if err != nil {
		f.close()
		return nil, err
	}
	f.pending = f.consumer.CachedInfo().NumPending
	return f, nil
}

// next waits for the next message.
func (f *feed) next() (record, error) { return f.nextWithin(f.ctx) }

// nextWithin waits for the next message until ctx is done.
func (f *feed) nextWithin(ctx context.Context) (record, error) {
	m, err := f.fetch(ctx)
	if err != nil {
		return record{}, f.store.why(f.ctx, err)
	}
	meta, err := m.Metadata()
	if err != nil {
		return record{}, err
	}
	f.received++
	if meta.Sequence.Consumer != f.received {
		return record{}, errSkipped
	}
	f.pending = meta.NumPending
	return f.store.delivered(m, meta), nil
}

// fetch asks for one batch at a time, and for the next one only after that was read. So a blocked reader holds at most
// one batch. The client's own iterator, consumer.Messages, asks ahead, and drops messages when its reader is slow.
func (f *feed) fetch(ctx context.Context) (jetstream.Msg, error) {
	for {
		if f.batch == nil {
			batch, err := f.consumer.Fetch(f.store.config.Buffer,
				jetstream.FetchContext(timeless{f.ctx}), jetstream.FetchHeartbeat(f.store.config.Heartbeat))
			if err != nil {
				return nil, err
			}
			f.batch = batch
		}
		select {
		case m, ok := <-f.batch.Messages():
			if ok {
				return m, nil
			}
			if err := f.batch.Error(); err != nil {
				return nil, err
			}
			f.batch = nil // the batch was complete, or nothing came for half a minute
		case <-f.ctx.Done():
			return nil, f.ctx.Err()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// timeless is a context that ends when another one ends, but has no deadline: Fetch would refuse a context with a near
// deadline.
type timeless struct{ context.Context }

func (timeless) Deadline() (time.Time, bool) { return time.Time{}, false }

// close ends the feed. It does not wait for the server, which may be unreachable.
func (f *feed) close() {
	f.end()
	// Nothing receives the answer. If the request is lost, the server removes the consumer by itself after
	// InactiveThreshold.
	nc := f.store.connection()
	_ = nc.PublishRequest(f.store.api("CONSUMER.DELETE."+f.store.name+"."+f.name), nc.NewInbox(), nil)
}

// api returns the subject of a request to JetStream.
func (s *Store) api(request string) string {
	switch o := s.js.Options(); {
	case o.APIPrefix != "":
		return strings.TrimSuffix(o.APIPrefix, ".") + "." + request
	case o.Domain != "":
		return "$JS." + o.Domain + ".API." + request
	}
	return jetstream.DefaultAPIPrefix + request
}
