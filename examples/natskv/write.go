package natskv

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
)

// Put implements [kv.Writer]. It reads the key, for its version, and writes it if no other writer has changed the key since. That takes two
// requests, and two more each time another writer of the same key was faster.
//
// The largest value is the server's max_payload without the headers. With the default of 1 MiB, that is some 100 bytes
// less than the 1 MiB that [kv.Store] requires.
func (s *Store) Put(ctx context.Context, key string, value []byte, conditions ...kv.Condition) (kv.Revision, error) {
	rev, err := s.write(ctx, key, conditions, func(previous kv.Entry) (nats.Header, []byte) {
		return putAfter(previous), value
	})
	if err != nil {
		return 0, failures.Op(ctx, fmt.Sprintf("put %q", key), err)
	}
	return rev, nil
}

// Delete implements [kv.Writer].
func (s *Store) Delete(ctx context.Context, key string, conditions ...kv.Condition) (kv.Revision, error) {
	rev, err := s.write(ctx, key, conditions, func(previous kv.Entry) (nats.Header, []byte) {
		if previous.Version == 0 {
			return nil, nil
		}
		return deletion(), nil
	})
	if err != nil {
		return 0, failures.Op(ctx, fmt.Sprintf("delete %q", key), err)
	}
	return rev, nil
}

// write stores what change makes of the key's entry. The entry of an absent key is zero. If change returns no headers, nothing is written.
func (s *Store) write(ctx context.Context, key string, conditions []kv.Condition,
	change func(kv.Entry) (nats.Header, []byte)) (kv.Revision, error) {
	if err := kv.ValidateKey(key); err != nil {
		return 0, err
	}
	for {
		last, err := s.last(ctx, key)
		if err != nil {
			return 0, err
		}
		var previous kv.Entry
		if last.seq > 0 && last.isPut() {
			previous = last.entry()
		}
		for _, c := range conditions {
			if !c.Holds(previous.ModRevision) {
				return 0, kv.ErrConflict
			}
		}
		header, value := change(previous)
		if header == nil {
			snapshot, err := s.getKey(ctx, key)
			if err != nil {
				return 0, err
			}
			if len(snapshot.Entries) > 0 {
				continue // another writer has just created the key
			}
			return snapshot.Revision, nil
		}
		rev, err := s.publish(ctx, key, header, value, last.seq)
		if !overtaken(err) {
			return rev, err
		}
	}
}

// publish writes a message if the subject's last is still the one with the sequence number last.
//
// If publish fails, the message may still have been written. publish does not retry, because a put that is made twice
// would be two changes.
func (s *Store) publish(ctx context.Context, key string, header nats.Header, value []byte, last uint64) (kv.Revision, error) {
	subject := s.subject(key)
	if len(subject) > maxSubject {
		return 0, errTooLong
	}
	history := s.histories.Current()
	ack, err := ask(ctx, s, func(ctx context.Context) (*jetstream.PubAck, error) {
		return s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: header, Data: value},
			jetstream.WithExpectStream(s.name), jetstream.WithExpectLastSequencePerSubject(last))
	})
	if err != nil {
		return 0, err
	}
	rev := kv.Revision(ack.Sequence)
	s.histories.Return(history, rev)
	return rev, nil
}
