package natskv

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

// A stream that is restored from a backup, or created again with the same name, counts again from an older number. The protocol does not
// report that. Two things show it: the stream is shorter than known so far, or the message with a known number was stored at another time. So the mark
// of a revision is the time of its message.

// mark returns the time of a message as the mark of its revision.
func mark(t time.Time) int64 { return t.UnixNano() }

func newest(s jetstream.StreamState) backend.Point[int64] {
	return backend.Point[int64]{Revision: kv.Revision(s.LastSeq), Mark: mark(s.LastTime)}
}

func (r record) point() backend.Point[int64] {
	return backend.Point[int64]{Revision: kv.Revision(r.seq), Mark: mark(r.time)}
}

// state returns the state of the stream, and its history. If the stream is longer than known so far,
// state also asks for the newest known message, because a restored stream may have become longer again.
func (s *Store) state(ctx context.Context) (jetstream.StreamState, int, error) {
	before := s.histories.Known()
	info, err := s.info(ctx)
	if err != nil {
		return jetstream.StreamState{}, 0, err
	}
	var known *int64
	forgotten := false // compacted, as far as can be known
	if seq := uint64(before.Newest.Revision); 0 < seq && seq < info.State.LastSeq {
		m, err := ask(ctx, s, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
			return s.stream.GetMsg(ctx, seq)
		})
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			forgotten = true
		case err != nil:
			return jetstream.StreamState{}, 0, err
		default:
			at := mark(m.Time)
			known = &at
		}
	}
	history := s.histories.Found(before, newest(info.State), known)
	if forgotten {
		s.histories.See(history, newest(info.State))
	}
	return info.State, history, nil
}
