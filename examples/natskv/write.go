package natskv

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
)

// Put implements [kv.Writer]. It reads the key, for its version, and writes it if no other writer has meanwhile: two
// requests, and two more for every writer of the same key who was quicker.
//
// How large a value may be is the server's max_payload, less the headers: with its default of 1 MiB, some 100 bytes
// too few for the 1 MiB that [kv.Store] asks for.
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

// write stores what change makes of the key's entry, which is zero for an absent key. Without headers it is nothing.
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
				continue // made just now
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
// When it fails it may have been written all the same, and it is not tried again: a put that is done twice would be
// two.
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
