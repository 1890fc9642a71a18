package natskv

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
)

// A stream that is restored from a backup, or made again under the same name, counts anew from an older number, and
// nothing in the protocol says so. Two things show it: the stream is shorter than it is known to have been; or the
// message with a known number was stored at another time. A Store compares both whenever it asks for the state of the
// stream, and each time it was another stream is the beginning of a new era. A watch, or a revision to watch after,
// that is from an earlier one ends with kv.ErrReset.
//
// A Store knows what it has seen: a new process that is given a revision to watch after cannot know of which past it is.

// remembered is how many of the revisions that callers were given a Store knows the era of, at least.
const remembered = 4096

type past struct {
	mu      sync.Mutex
	era     int
	longest uint64 // the highest sequence number that was there, in this era
	proof   proof  // of this era
	given   map[kv.Revision]int
	older   map[kv.Revision]int // what given was until it became too large
}

// proof is a message that a stream must have to be the one that was read.
type proof struct {
	seq  uint64 // zero if there is none yet
	time time.Time
}

// known is what is known of the past at some moment.
type known struct {
	era     int
	longest uint64
	proof   proof
}

// known is to be asked before the server is: what becomes known while its answer is on the way may not be in it.
func (p *past) known() known {
	p.mu.Lock()
	defer p.mu.Unlock()
	return known{p.era, p.longest, p.proof}
}

// eraOf returns the era that rev was given to a caller in; the current one if that is not known.
func (p *past) eraOf(rev kv.Revision) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if era, ok := p.given[rev]; ok {
		return era
	}
	if era, ok := p.older[rev]; ok {
		return era
	}
	return p.era
}

// give notes that rev, which was seen in this era, is given to a caller.
func (p *past) give(rev kv.Revision, seen proof, era int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.given) >= remembered {
		p.older, p.given = p.given, nil
	}
	if p.given == nil {
		p.given = make(map[kv.Revision]int)
	}
	p.given[rev] = era
	if era == p.era {
		p.longest = max(p.longest, uint64(rev))
		p.prove(seen)
	}
}

// prove keeps the newest proof. It is called with mu held.
func (p *past) prove(seen proof) {
	if seen.seq > p.proof.seq {
		p.proof = seen
	}
}

// compare compares the state that the stream is in with what was known before that was asked for.
func (p *past) compare(before known, now jetstream.StreamState) {
	switch last := (proof{now.LastSeq, now.LastTime}); {
	case now.LastSeq < before.longest,
		now.LastSeq == before.proof.seq && now.LastSeq > 0 && !now.LastTime.Equal(before.proof.time):
		p.begin(before, last)
	default:
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.era == before.era {
			p.longest = max(p.longest, last.seq)
			p.prove(last)
		}
	}
}

// begin begins a new era, unless it has begun already.
func (p *past) begin(before known, last proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.era == before.era {
		p.era++
		p.longest, p.proof = last.seq, last
	}
}

// state returns the state of the stream.
func (s *Store) state(ctx context.Context) (jetstream.StreamState, error) {
	before := s.past.known()
	info, err := s.info(ctx)
	if err != nil {
		return jetstream.StreamState{}, err
	}
	s.past.compare(before, info.State)
	return info.State, nil
}

// stateIn is state, for one who has read the stream in an earlier era, or in this one. It looks for the proof, even
// where the stream is longer now, and returns kv.ErrReset if that era is over.
func (s *Store) stateIn(ctx context.Context, era int) (jetstream.StreamState, error) {
	before := s.past.known()
	state, err := s.state(ctx)
	if err != nil {
		return state, err
	}
	if p := before.proof; 0 < p.seq && p.seq < state.LastSeq {
		m, err := ask(ctx, s, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
			return s.stream.GetMsg(ctx, p.seq)
		})
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // compacted, as far as can be known
		case err != nil:
			return state, err
		case !m.Time.Equal(p.time):
			s.past.begin(before, proof{state.LastSeq, state.LastTime})
		}
	}
	if s.past.known().era != era {
		return state, kv.ErrReset
	}
	return state, nil
}
