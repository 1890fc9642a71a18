package natskv

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

// Watch implements [kv.Store]. It costs a consumer of all of the bucket: every watch receives every change of the bucket,
// and yields the changes in its range. Keys that are watched in many places, and keys that change all the
// time, should be in different buckets.
//
// When its connection is lost, a watch tries to continue for the time Config.Outage, and then ends with
// [kv.ErrUnavailable]. A watch that cannot begin ends with that error at once.
func (s *Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		w := &watching{store: s, history: s.histories.Of(after)}
		defer w.close()
		backend.Watch{Log: w, Errors: failures, Bookmarks: s.config.Bookmarks}.Batches(ctx, r, after)(yield)
	}
}

// watching is a watch, as a [backend.Log].
type watching struct {
	store   *Store
	history int       // the history of what was yielded
	feed    *feed     // nil while there is none
	first   *record   // the message that Wait has found
	heard   time.Time // when the last feed ended; zero before
}

// Read implements [backend.Log].
func (w *watching) Read(ctx context.Context, after kv.Revision) (backend.Page, error) {
	for {
		page, err := w.read(ctx, uint64(after))
		if err == nil {
			return page, nil
		}
		w.close()
		if errors.Is(failures.Op(ctx, "", err), kv.ErrUnavailable) && time.Since(w.heard) <= w.store.config.Outage {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		return backend.Page{}, err
	}
}

// read returns a page of the one message that follows, or an empty one.
func (w *watching) read(ctx context.Context, after uint64) (backend.Page, error) {
	if err := w.begin(ctx, after); err != nil {
		return backend.Page{}, err
	}
	if w.first == nil && w.feed.pending == 0 {
		return backend.Page{UpTo: kv.Revision(after)}, nil
	}
	m, err := w.next(ctx)
	if err != nil {
		return backend.Page{}, err
	}
	if m.seq != after+1 {
		return backend.Page{}, w.store.compacted(ctx, m.seq)
	}
	w.store.histories.See(w.history, m.point())
	w.store.histories.Return(w.history, kv.Revision(m.seq))
	page := backend.Page{UpTo: kv.Revision(m.seq), More: w.feed.pending > 0, Bookmark: m.subject == w.store.prefix+noteToken}
	if m.isKey {
		page.Events = []kv.Event{m.event()}
	}
	return page, nil
}

// begin makes the feed, if there is none.
func (w *watching) begin(ctx context.Context, after uint64) error {
	if w.feed != nil {
		return nil
	}
	state, history, err := w.store.state(ctx)
	if err != nil {
		return err
	}
	if history != w.history {
		return kv.ErrReset
	}
	if after+1 < state.FirstSeq {
		return w.store.compacted(ctx, state.FirstSeq)
	}
	w.feed, err = w.store.follow(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   after + 1, // if that is in the future, the consumer waits for it
		FilterSubject: w.store.prefix + ">",
	})
	return err
}

// next waits for the next message.
func (w *watching) next(ctx context.Context) (record, error) {
	if w.first != nil {
		m := *w.first
		w.first = nil
		return m, nil
	}
	return w.feed.nextWithin(ctx)
}

// Wait implements [backend.Log]. If the feed ends during the wait, Read tries to continue.
func (w *watching) Wait(ctx context.Context, _ kv.Revision) error {
	m, err := w.next(ctx)
	switch {
	case err == nil:
		w.first = &m
	case ctx.Err() == nil:
		w.close()
	}
	return ctx.Err()
}

// close ends the feed.
func (w *watching) close() {
	if w.feed != nil {
		w.feed.close()
		w.feed, w.first, w.heard = nil, nil, time.Now()
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
