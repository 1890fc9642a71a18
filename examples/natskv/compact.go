package natskv

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
)

// Compact forgets the changes before rev. It keeps what keys held at rev, and every change from rev on. So rev
// must not be above the bucket's last revision: otherwise the error is [kv.ErrInvalidRange].
//
// It reads the messages before rev that earlier compactions left, without their values. So a longer history costs
// more. If it fails half-way, it may be called again. It need not be atomic, because watches notice the missing
// messages themselves.
func (s *Store) Compact(ctx context.Context, rev kv.Revision) error {
	return failures.Op(ctx, fmt.Sprintf("compact before %d", rev), s.compact(ctx, uint64(max(rev, 0))))
}

func (s *Store) compact(ctx context.Context, rev uint64) error {
	state, _, err := s.state(ctx)
	if err != nil {
		return err
	}
	if rev > state.LastSeq {
		return fmt.Errorf("%w: the last revision is %d", kv.ErrInvalidRange, state.LastSeq)
	}
	dead, err := s.before(ctx, rev, state)
	if err != nil {
		return err
	}
	for subject, seq := range dead {
		_, err := ask(ctx, s, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, s.stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(seq))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// before returns, for every subject with messages that are obsolete at rev, the first sequence number that must stay. The message
// with the number rev is never obsolete. So there is always a message after a gap, and a watch that comes to the gap notices it.
func (s *Store) before(ctx context.Context, rev uint64, state jetstream.StreamState) (map[string]uint64, error) {
	dead := make(map[string]uint64)
	if state.FirstSeq >= rev {
		return dead, nil
	}
	f, err := s.follow(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy,
		FilterSubject: s.prefix + ">",
		HeadersOnly:   true,
	})
	if err != nil {
		return nil, err
	}
	defer f.close()
	type last struct {
		seq   uint64
		first bool // the message is the subject's only one so far
		put   bool
	}
	subjects := make(map[string]last)
	for f.pending > 0 {
		at, err := f.next()
		if err != nil {
			return nil, err
		}
		if at.seq > rev {
			break
		}
		_, again := subjects[at.subject]
		subjects[at.subject] = last{at.seq, !again, at.isPut()}
	}
	for subject, l := range subjects {
		switch {
		case !l.put && l.seq < rev:
			dead[subject] = l.seq + 1
		case !l.first:
			dead[subject] = l.seq
		}
	}
	return dead, nil
}

// compacted returns the error of a watch that has come to a gap. behind is the number of the first message after the gap. While a server
// deletes a message, it may skip it in deliveries before its information lists it as deleted.
func (s *Store) compacted(ctx context.Context, behind uint64) error {
	info, err := s.info(ctx)
	if err != nil {
		return err
	}
	oldest := max(behind, info.State.FirstSeq)
	// A key that was not written for long keeps an old message, with gaps after it. The history is complete only after the last gap. If there
	// are too many deleted messages to list, the oldest revision is not reported.
	if info.State.NumDeleted > 100_000 {
		return &kv.CompactedError{}
	}
	if info.State.NumDeleted > 0 {
		info, err = s.info(ctx, jetstream.WithDeletedDetails(true))
		if err != nil {
			return err
		}
		for _, seq := range info.State.Deleted {
			oldest = max(oldest, seq+1)
		}
	}
	return &kv.CompactedError{Oldest: kv.Revision(oldest)}
}
