package natskv

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
)

// Get implements [kv.Store]. For one key it costs two requests. For other ranges it costs two requests and a consumer.
//
// The stream's leader answers all requests. On a stream with one replica that makes Get linearizable. With
// more replicas, a client of NATS cannot ask a leader to confirm first that it still leads: a partitioned leader
// answers with what it last knew, until it notices.
func (s *Store) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.get(ctx, r)
	if err != nil {
		return kv.Snapshot{}, failures.Op(ctx, "get "+r.String(), err)
	}
	return snapshot, nil
}

func (s *Store) get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	if err := r.Validate(); err != nil {
		return kv.Snapshot{}, err
	}
	if key, ok := r.Key(); ok {
		return s.getKey(ctx, key)
	}
	for {
		snapshot, err := s.getRange(ctx, r)
		if !errors.Is(err, errNotReady) {
			return snapshot, err
		}
	}
}

// getKey reads the state of the stream first, and then the key. If the key's last message is not newer than the stream was,
// it was the last message at that time too. Otherwise the key is as that message left it.
func (s *Store) getKey(ctx context.Context, key string) (kv.Snapshot, error) {
	state, history, err := s.state(ctx)
	if err != nil {
		return kv.Snapshot{}, err
	}
	last, err := s.last(ctx, key)
	if err != nil {
		return kv.Snapshot{}, err
	}
	snapshot := kv.Snapshot{Revision: kv.Revision(state.LastSeq)}
	if last.seq > state.LastSeq {
		snapshot.Revision = kv.Revision(last.seq)
		s.histories.See(history, last.point())
	}
	s.histories.Return(history, snapshot.Revision)
	if last.seq > 0 && last.isPut() {
		snapshot.Entries = []kv.Entry{last.entry()}
	}
	return snapshot, nil
}

// last returns the key's last message, with seq zero if there is none.
func (s *Store) last(ctx context.Context, key string) (record, error) {
	subject := s.subject(key)
	if len(subject) > maxSubject {
		return record{}, nil // no such key can be written
	}
	m, err := s.lastOf(ctx, subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return record{}, nil
	case err != nil:
		return record{}, err
	}
	return s.fetched(m), nil
}

func (s *Store) lastOf(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	return ask(ctx, s, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return s.stream.GetLastMsgForSubject(ctx, subject)
	})
}

func (s *Store) info(ctx context.Context, options ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	return ask(ctx, s, func(ctx context.Context) (*jetstream.StreamInfo, error) {
		return s.stream.Info(ctx, options...)
	})
}

// getRange reads the last message of each subject at the beginning of the read, and then the messages after that. The messages that were read
// show the range as it was at the last of them, as soon as
//
//   - nothing is left to read; or, because writers may be as fast as the read,
//   - everything was read that was there at the beginning, and nothing was removed from the stream during the read. If something was
//     removed, a key's last message may be gone, and the message that replaced it may not have come yet.
//
// The server that delivers the messages need not lead the stream, and may be behind. So getRange also asks the leader for the newest message of
// the stream. The read does not end before that message, or one that replaced it, has come.
func (s *Store) getRange(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	before, history, err := s.state(ctx)
	if err != nil {
		return kv.Snapshot{}, err
	}
	if before.Msgs == 0 {
		snapshot := kv.Snapshot{Revision: kv.Revision(before.LastSeq)}
		s.histories.Return(history, snapshot.Revision)
		return snapshot, nil
	}
	newest, err := s.lastOf(ctx, s.prefix+">")
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return kv.Snapshot{}, errNotReady // an operator removed everything just now
	}
	if err != nil {
		return kv.Snapshot{}, err
	}
	filters := []string{s.prefix + filterTail(r)}
	if !strings.HasPrefix(newest.Subject, strings.TrimSuffix(filters[0], ">")) {
		filters = append(filters, newest.Subject)
	}
	f, err := s.follow(ctx, jetstream.ConsumerConfig{
		DeliverPolicy:  jetstream.DeliverLastPerSubjectPolicy,
		FilterSubjects: filters,
	})
	if err != nil {
		return kv.Snapshot{}, err
	}
	defer f.close()

	began, _, err := s.state(ctx)
	if err != nil {
		return kv.Snapshot{}, err
	}
	var at record
	found := make(map[string]kv.Entry)
	for enough := began.LastSeq; at.seq < newest.Sequence || f.pending > 0; {
		if at.seq >= enough {
			now, _, err := s.state(ctx)
			if err != nil {
				return kv.Snapshot{}, err
			}
			if removed(now) == removed(before) {
				break
			}
			enough = math.MaxUint64
		}
		if at, err = s.nextOf(f); err != nil {
			return kv.Snapshot{}, err
		}
		switch {
		case !at.isKey || !r.Contains(at.key):
		case at.isPut():
			found[at.key] = at.entry()
		default:
			delete(found, at.key)
		}
	}
	s.histories.See(history, at.point())
	s.histories.Return(history, kv.Revision(at.seq))
	return kv.Snapshot{
		Revision: kv.Revision(at.seq),
		Entries: slices.SortedFunc(maps.Values(found), func(a, b kv.Entry) int {
			return cmp.Compare(a.Key, b.Key)
		}),
	}, nil
}

// removed returns how many messages were ever removed from the stream.
func removed(s jetstream.StreamState) uint64 { return s.LastSeq - s.Msgs }

// nextOf returns f's next message. If there is none at the moment, f's server has to catch up with the leader, or the
// awaited message was compacted in the meantime. Then getRange must begin again.
func (s *Store) nextOf(f *feed) (record, error) {
	if f.pending > 0 {
		return f.next()
	}
	ctx, cancel := context.WithTimeout(f.ctx, time.Second)
	defer cancel()
	r, err := f.nextWithin(ctx)
	if err != nil && ctx.Err() != nil && f.ctx.Err() == nil {
		return record{}, errNotReady
	}
	return r, err
}
