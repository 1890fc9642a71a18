package natskv

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// feed is a consumer of the stream on its way to one reader, for as long as every message of it arrives.
//
// The client's ordered consumer would begin anew by itself where one did not, at the next message that the stream
// still has, and would tell nobody. A feed ends, and leaves it to who reads to see whether there is still a way on
// from where it is.
type feed struct {
	store    *Store
	name     string
	consumer jetstream.Consumer
	ctx      context.Context        // ends with the connection
	end      func()                 // of ctx
	batch    jetstream.MessageBatch // what was asked for last; nil before, and when all of it has come
	received uint64                 // the consumer's own count of messages
	pending  uint64                 // how many there are that have not come, as of the last message
}

// follow begins a feed. It must be closed.
func (s *Store) follow(ctx context.Context, config jetstream.ConsumerConfig) (*feed, error) {
	f := &feed{store: s, name: rand.Text()}
	// What the server sends into a connection that is about to break is gone, and is not sent again. Where nothing
	// comes after it, no count shows that.
	f.ctx, f.end = s.whileConnected(ctx)

	config.Name = f.name
	config.AckPolicy = jetstream.AckNonePolicy
	config.MemoryStorage = true
	config.Replicas = 1
	config.InactiveThreshold = 15 * time.Second // only for consumers whose reader cannot say that it is gone
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

// fetch asks for a batch at a time, and for no more until that has been read: a reader that stands still holds no more
// than that. The client's own iterator, consumer.Messages, asks ahead, and drops messages when its reader is slow.
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
			f.batch = nil // it was whole, or there was nothing for half a minute
		case <-f.ctx.Done():
			return nil, f.ctx.Err()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// timeless is a context that ends when another does, but does not say when that will be: Fetch would refuse one that is
// to end soon.
type timeless struct{ context.Context }

func (timeless) Deadline() (time.Time, bool) { return time.Time{}, false }

// close ends the feed, without waiting for the server, which may be out of reach.
func (f *feed) close() {
	f.end()
	// The answer goes to an address without a receiver. If the request is lost the server finds out by itself, after
	// the consumer's InactiveThreshold.
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
