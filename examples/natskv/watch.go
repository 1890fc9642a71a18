package natskv

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
)

// Watch implements [kv.Store]. It costs a consumer of the whole bucket: every change of the bucket is sent to every
// watch, which passes on what is in its range. Keys that are watched in many places, and keys that change all the
// time, are better kept in different buckets.
//
// When its connection is lost a watch looks for a way on for as long as Config.Outage, and then ends with
// [kv.ErrUnavailable]. One that cannot even begin does so at once.
func (s *Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		if err := s.watch(ctx, r, after, func(b kv.Batch) bool { return yield(b, nil) }); err != nil {
			yield(kv.Batch{}, s.failure(ctx, fmt.Sprintf("watch %v after %d", r, after), err))
		}
	}
}

// watching is how far a watch has come.
type watching struct {
	kv.Range
	yield   func(kv.Batch) bool
	at      uint64    // every message up to this one was passed on, or passed over
	era     int       // of the past that was passed on
	yielded time.Time // when the last batch was
	heard   time.Time // when the last feed ended; zero before
}

// watch returns nil only when yield does not want more.
func (s *Store) watch(ctx context.Context, r kv.Range, after kv.Revision, yield func(kv.Batch) bool) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if after < 0 {
		return fmt.Errorf("%w: watch after %d", kv.ErrInvalidRange, after)
	}
	w := &watching{Range: r, yield: yield, at: uint64(after), era: s.past.eraOf(after)}
	for {
		err := s.goOn(ctx, w)
		if err == nil {
			return nil
		}
		reason, _ := portable(ctx, err)
		if !errors.Is(reason, kv.ErrUnavailable) || time.Since(w.heard) > s.config.Outage {
			return err
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// goOn watches from where w is until the feed ends.
func (s *Store) goOn(ctx context.Context, w *watching) error {
	state, err := s.stateIn(ctx, w.era)
	if err != nil {
		return err
	}
	if w.at+1 < state.FirstSeq {
		return s.compacted(ctx)
	}
	f, err := s.follow(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   w.at + 1, // if that is in the future, the consumer waits for it
		FilterSubject: s.prefix + ">",
	})
	if err != nil {
		return err
	}
	defer f.close()
	defer func() { w.heard = time.Now() }()
	for {
		m, err := f.next()
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err() // messages that have come already are not passed on
		}
		if m.seq != w.at+1 {
			return s.compacted(ctx)
		}
		w.at = m.seq
		if !s.pass(w, m, f.pending > 0) {
			return nil
		}
	}
}

// pass yields what the message m is to the watch: an event, a bookmark, or nothing. A watch that has more to read will
// have a later bookmark to yield.
func (s *Store) pass(w *watching, m record, more bool) (wanted bool) {
	batch := kv.Batch{Revision: kv.Revision(m.seq)}
	switch {
	case m.isKey && w.Contains(m.key):
		batch.Events = []kv.Event{m.event()}
	case m.subject == s.prefix+noteToken:
	case !more && time.Since(w.yielded) >= s.config.Bookmarks:
	default:
		return true
	}
	s.past.give(batch.Revision, proof{m.seq, m.time}, w.era)
	wanted = w.yield(batch)
	w.yielded = time.Now()
	return wanted
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
