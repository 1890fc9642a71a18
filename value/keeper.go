package value

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

const (
	// saveEvery is the shortest time between two saves.
	saveEvery = time.Second
	// saveAgain is the longest time after which a save that failed is tried again.
	saveAgain = time.Minute
	// saveShare bounds the part of the time that saves take.
	saveShare = 20
	// renewEvery is the shortest time after which what was saved is saved again only because the store has confirmed it. It is a quarter of
	// WithMaxStaleness if that is longer.
	renewEvery = time.Minute
	// loadTimeout is how long the first read waits for what was last known, if the watchers do not wait longer.
	loadTimeout = time.Second
)

// keeper loads what was last known of a Value, and saves what becomes known, in a separate goroutine while an upstream runs. A nil keeper
// is that of a Value without [WithLastKnown].
type keeper[T any] struct {
	state *state[T]
	run   uint64 // of the upstream
	epoch uint64
	began time.Time
	said  bool // the log has said that it stands in
	over  bool // the feed has shown a good value, or one that has nothing to do with what was loaded

	ending   <-chan struct{} // closed when the upstream is to end
	loaded   chan struct{}   // closed when last is final
	last     *update[T]      // nil if there is nothing that can be used
	unloaded atomic.Bool     // what the store had was shown without last, which was not there yet

	mu       sync.Mutex
	offered  bool       // the feed has offered something
	pending  *update[T] // the newest good one that is to be saved
	outdated outdated   // of what was offered
	wake     chan struct{}

	failure string // that was logged last
	cancel  context.CancelFunc
	ended   chan struct{}
}

// startKeeper starts the keeper of the upstream that begins. ctx is that of the upstream.
func startKeeper[T any](ctx context.Context, s *state[T], run, epoch uint64) *keeper[T] {
	if s.config.lastKnown == nil {
		return nil
	}
	keeping, cancel := context.WithCancel(context.Background())
	k := &keeper[T]{
		state: s, run: run, epoch: epoch, began: time.Now(), ending: ctx.Done(), cancel: cancel,
		loaded: make(chan struct{}), wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go k.keep(keeping, ctx)
	return k
}

// close saves what is to be saved, and waits for that.
func (k *keeper[T]) close() {
	if k != nil {
		k.cancel()
		<-k.ended
	}
}

// keep loads while the upstream is to go on, and saves until ctx ends, which is after the upstream's end.
func (k *keeper[T]) keep(ctx, upstream context.Context) {
	defer close(k.ended)
	k.load(upstream)
	close(k.loaded)
	use := time.NewTimer(time.Until(k.began.Add(k.state.config.lastKnownAfter)))
	defer use.Stop()
	s := saver[T]{keeper: k, saved: k.last}
	if k.last != nil && !k.last.kept.confirmed.After(k.began) { // else the clock was wrong, and the time must be replaced
		s.asOf = k.last.kept.confirmed
	}
	var due, again <-chan time.Time
	save := func() {
		if due, again = nil, nil; !s.save(false) {
			again = time.After(max(s.pause, time.Until(s.next)))
		}
	}
	var confirmed <-chan struct{} // nil if nothing becomes too old
	if k.state.config.MaxStaleness > 0 {
		confirmed = k.state.fresh.Confirmed.Load().Next
	}
	for {
		select {
		case <-use.C:
			k.use()
		case <-k.wake:
			if due == nil {
				due = time.After(time.Until(s.next))
			}
		case <-due:
			save()
		case <-again:
			save()
		case <-confirmed:
			confirmed = k.state.fresh.Confirmed.Load().Next
			if due == nil && again == nil && !time.Now().Before(s.next) {
				save()
			}
		case <-ctx.Done():
			s.save(true)
			return
		}
	}
}

// load makes last what was saved last, unless that cannot be used.
func (k *keeper[T]) load(ctx context.Context) {
	s := k.state
	snapshot, confirmed, err := s.config.lastKnown.Load(ctx, s.subject.Range)
	if errors.Is(err, kv.ErrNotFound) || ctx.Err() != nil {
		return
	}
	for _, e := range snapshot.Entries {
		if err == nil && !s.subject.Range.Contains(e.Key) {
			err = fmt.Errorf("%q is not in %v", e.Key, s.subject.Range)
		}
	}
	var u *update[T]
	if err == nil {
		place := s.subject.Place(snapshot, &upstream.Position{}, &upstream.Position{})
		u = s.face.found(upstream.Found{Snapshot: snapshot, Place: place}, k.epoch)
		err = u.err
	}
	if err != nil {
		k.failed("what was last known cannot be loaded", err)
		return
	}
	known := *u
	known.kept = &kept{run: k.run, confirmed: confirmed}
	if u.kept != nil {
		known.kept.entry = u.kept.entry
	}
	k.last = &known
}

func (k *keeper[T]) failed(text string, err error) {
	k.state.health.NotKept(err)
	if now := err.Error(); now != k.failure {
		k.failure = now
		k.state.health.Log(slog.LevelWarn, text, "error", err)
	}
}

// use shows the watchers what was last known, unless the store has answered.
func (k *keeper[T]) use() {
	u := k.last
	if u == nil || !k.state.exists(u) || u.isTooOld(k.state.config.MaxStaleness) {
		return
	}
	k.state.remember(u)
}

// known is the position that was loaded, or none if that is too old. A load that takes longer than the watchers are to wait is not waited
// for.
func (k *keeper[T]) known() (p upstream.Position) {
	if k == nil || k.state.subject.Decode == nil { // of one key nothing is shared
		return p
	}
	if u := k.await(); u != nil && !u.isTooOld(k.state.config.MaxStaleness) {
		p = u.Position
	}
	return p
}

func (k *keeper[T]) await() *update[T] {
	select {
	case <-k.loaded:
		return k.last
	default: // also if it is late: then it is not waited for
	}
	late := time.NewTimer(time.Until(k.began.Add(max(k.state.config.lastKnownAfter, loadTimeout))))
	defer late.Stop()
	select {
	case <-k.loaded:
		return k.last
	case <-late.C:
	case <-k.ending:
	}
	k.unloaded.Store(true)
	return nil
}

// standIn returns what was last known if it stands in for newest, which the store has. Only the feed calls it.
func (k *keeper[T]) standIn(newest *update[T]) *update[T] {
	if k == nil || k.over || newest == nil {
		return nil
	}
	if newest.err != nil {
		if u := k.await(); u != nil && u.isAnOlder(newest) && !u.isTooOld(k.state.config.MaxStaleness) {
			if !k.said {
				k.said = true
				k.state.health.Log(slog.LevelWarn, "the newest value is bad; using what was last known", "confirmed", u.kept.confirmed)
			}
			return u
		}
	}
	k.over = true
	return nil
}

// offer has u saved, if it is good. It does not wait.
func (k *keeper[T]) offer(u *update[T]) {
	if k == nil || u == nil {
		return
	}
	k.mu.Lock()
	k.follow(u)
	if u.err == nil {
		k.pending = u
	}
	k.mu.Unlock()
	if u.err != nil {
		return
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// follow keeps count of what u makes outdated. Holds mu.
func (k *keeper[T]) follow(u *update[T]) {
	before := k.confirmed()
	if !k.offered {
		k.offered = true
		select {
		case <-k.loaded:
			if k.last != nil {
				before, k.outdated.last = k.last.kept.confirmed, k.last.Contents
			}
		default:
		}
	}
	switch {
	case u.err != nil:
		k.outdated.all(before)
	case u.Contents != nil:
		k.outdated.some(u.Contents, before)
	default:
		k.outdated.none()
	}
}

// confirmed is when the last read began that has confirmed what was offered so far. What the first read has found is offered before that
// confirms it.
func (k *keeper[T]) confirmed() time.Time {
	at := k.state.fresh.Confirmed.Load().Began
	if first := k.state.latest.read.Load(); first != nil && first.After(at) {
		at = *first
	}
	return at
}

// take returns what is to be saved, nil if nothing is, and when the store confirmed all good values that were offered but those of expired,
// which are too old to be used.
func (k *keeper[T]) take() (u *update[T], confirmed time.Time, expired map[string]bool) {
	confirmed = k.confirmed() // first: what it confirms was offered before
	var past time.Time
	if limit := k.state.config.MaxStaleness; limit > 0 {
		past = time.Now().Add(-limit)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	u, k.pending = k.pending, nil
	confirmed, expired = k.outdated.oldest(confirmed, past)
	return u, confirmed, expired
}

// saver saves, in the keeper's goroutine.
type saver[T any] struct {
	*keeper[T]
	saved *update[T] // what was saved last
	known *update[T] // what was to be saved last
	asOf  time.Time  // when the store had confirmed what was saved last
	next  time.Time  // no save before

	pause time.Duration // before a save that failed is tried again; it doubles
}

// renews reports whether what was saved is to be saved again if the store has confirmed it at a time.
func (s *saver[T]) renews(at time.Time) bool {
	limit := s.state.config.MaxStaleness
	return limit > 0 && at.Sub(s.asOf) >= max(renewEvery, limit/4)
}

// save saves what was offered, or the last one again: if that has failed, or if the store has confirmed it since and this is the last save
// or the confirmation before was long ago. It reports whether that has worked.
func (s *saver[T]) save(last bool) bool {
	u, at, expired := s.take()
	if u != nil {
		s.known = u
	}
	u = s.known
	if u != nil && u.bad() != nil && s.unloaded.Load() {
		return true // what was saved before may have the good value
	}
	if u == nil || s.saved != nil && u.SameAs(&s.saved.Position) && !(at.After(s.asOf) && (last || s.renews(at))) {
		return true
	}
	state := s.state
	began := time.Now()
	snapshot := kv.Snapshot{Revision: u.Revision, Entries: state.face.entries(u, expired)}
	err := state.config.lastKnown.Save(context.Background(), state.subject.Range, snapshot, at)
	s.next = time.Now().Add(max(saveEvery, saveShare*time.Since(began)))
	if err != nil {
		s.pause = min(max(saveEvery, 2*s.pause), saveAgain)
		s.failed("what is known cannot be saved", err)
		return false
	}
	s.saved, s.asOf, s.failure, s.pause = u, at, "", 0
	state.health.NotKept(nil)
	return true
}
