package value

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/watchkv/watchkv/kv"
)

// upstream keeps a feed supplied from a store: it reads, watches, and when that fails does so again, for as long
// as its context lasts. Beside a running watch it reads again when a watcher asks for a fresh read, and when the
// watch has been silent for long.
type upstream struct {
	store  kv.Store
	key    string
	config *config
	feed   feeder
	health *health
	fresh  *freshness
	lag    time.Duration // how long a watch may be behind what a read has shown
}

// feeder is the [feed] of an upstream, without its type parameter.
type feeder interface {
	begin(s found) (after kv.Revision)
	deliver(b kv.Batch) error
	check(s found, floor kv.Revision) (behind bool, err error)
	fault(err error)
	streamFailed(err error)
	position() kv.Revision                   // what the stream has delivered everything up to
	isBehind() bool                          // the stream has yet to bring what a read has shown
	known() (upTo kv.Revision, epoch uint64) // what the watchers can see; no read begun now is of an older revision
	expected() expected                      // what a read will find, if nothing has changed
	isWaiting() bool                         // the key is absent, nothing stands in for it, and the log has not said so
	logWaiting()
}

// Why a session ends, beside the store's own errors. All of them pass.
var (
	errNoAnswer = fmt.Errorf("%w: no answer to a read within %v", kv.ErrUnavailable, answerTimeout)
	errBehind   = fmt.Errorf("%w: the watch is silent about what a read has shown", kv.ErrUnavailable)
	errEnded    = fmt.Errorf("%w: the watch ended without an error", kv.ErrUnavailable)
)

// errReadFailed matches the end of a session by a read.
var errReadFailed = errors.New("a read failed")

// readError is the error of a read that ended a session.
type readError struct{ error }

func (e readError) Is(target error) bool { return target == errReadFailed }
func (e readError) Unwrap() error        { return e.error }

// run supplies the feed until ctx is done.
func (u *upstream) run(ctx context.Context) {
	retry := u.newRetry()
	atOnce := true         // the next failure is met by trying again at once, if it is of the kind that helps
	var earliest time.Time // or then, where one was a moment ago: progress between them or not, that is no spin
	u.lag = lagTimeout
	for {
		progress, err := u.session(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case progress:
			retry.Reset()
			atOnce = true
			u.lag = lagTimeout
		case errors.Is(err, errBehind):
			u.lag = min(2*u.lag, mostSilence)
		}
		passing := atOnce && helpedByReading(err)
		u.health.failed(err, passing)
		if passing {
			atOnce = false
			if !u.pause(ctx, time.Until(earliest)) {
				return
			}
			earliest = time.Now().Add(atOnceEvery)
			continue
		}
		if !u.pause(ctx, u.untilRead(retry.NextBackOff(), err)) {
			return
		}
	}
}

// readsAgain reports whether the store looks after its own reads, because it has several connections.
func (u *upstream) readsAgain() bool {
	s, ok := kv.As[kv.SelfReader](u.store)
	return ok && s.ReadsAgain()
}

// untilRead is d, or less where a limit to staleness asks for a read before: a watch has failed with err, and reads may work.
func (u *upstream) untilRead(d time.Duration, err error) time.Duration {
	stale := u.config.maxStaleness
	if stale == 0 || errors.Is(err, errReadFailed) {
		return d
	}
	return min(d, max(time.Until(u.fresh.confirmed.Load().began.Add(stale/2)), u.config.retryFirst))
}

// helpedByReading reports whether err, which ended a watch, is no sign of trouble: reading afresh is the answer.
func helpedByReading(err error) bool {
	return errors.Is(err, kv.ErrCompacted) || errors.Is(err, kv.ErrReset) || errors.Is(err, ErrLostEvent) ||
		errors.Is(err, errRefused) || errors.Is(err, errBehind) ||
		errors.Is(err, kv.ErrTooLarge) && !errors.Is(err, errReadFailed)
}

// newRetry returns the delays between attempts. Each is random within half of itself, and the longest still within
// the limit.
func (u *upstream) newRetry() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.Multiplier, b.RandomizationFactor = 2, 0.5
	b.MaxInterval = max(u.config.retryMost/3*2, 1)
	b.InitialInterval = min(u.config.retryFirst, b.MaxInterval)
	b.Reset()
	return b
}

// pause waits for d, less if a watcher that has just been opened wants its first read: it gets it no later
// than after the shortest delay. It reports whether ctx still lasts.
func (u *upstream) pause(ctx context.Context, d time.Duration) bool {
	end := time.Now().Add(d)
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-u.fresh.hurried:
			timer.Reset(min(time.Until(end), u.config.retryFirst))
		case <-ctx.Done():
			return false
		}
	}
}

// read reads the key linearizably. No constant bounds it: a large value over a slow link takes minutes. When there is no
// answer for long, the Status and the log say so, and the key is read once more at the same time, because a single
// request may have been lost. The first answer is taken. Of too many reads the oldest is given up, and the next has more
// time than the one before.
func (u *upstream) read(ctx context.Context, e expected) reading {
	parent := ctx
	ctx, cancel := context.WithCancel(ctx)
	var reads sync.WaitGroup
	defer reads.Wait()
	defer cancel()
	answers := make(chan reading)
	var running []context.CancelFunc
	begin := func() {
		one, giveUp := context.WithCancel(ctx)
		running = append(running, giveUp)
		reads.Go(func() {
			defer giveUp()
			r := u.readOnce(one, e)
			if one.Err() != nil && r.err != nil {
				r.err = givenUp{r.err}
			}
			select {
			case answers <- r:
			case <-ctx.Done():
			}
		})
	}
	begin()
	after, most := u.readAgainAfter(e)
	again := time.NewTimer(after)
	defer again.Stop()
	silent := time.NewTimer(answerTimeout)
	defer silent.Stop()
	slow := newTimer(0)
	if u.readsAgain() {
		slow.Reset(answerTimeout / 2)
	}
	defer slow.Stop()
	alive := make(chan struct{})
	for {
		select {
		case r := <-answers:
			if lost, ok := errors.AsType[givenUp](r.err); ok && parent.Err() == nil {
				if time.Since(r.began) >= answerTimeout { // or it was given up for another one before it was late
					u.health.failed(fmt.Errorf("%w: %v", errNoAnswer, lost.error), false)
				}
				continue
			}
			if parent.Err() != nil {
				r.err = parent.Err() // whatever the store answered: the ticket may be that of a watcher opened since, see open
			}
			return r
		case <-again.C:
			if len(running) == most {
				running[0]()
				running = running[1:]
			}
			begin()
			if len(running) == most { // from now on each takes the place of one, which is to have had its time
				after *= 2
				if u.readsAgain() {
					after = max(after, answerTimeout)
				}
			}
			again.Reset(after)
		case <-slow.C:
			reads.Go(func() { u.askIfAlive(ctx, alive) })
		case <-alive: // the read is slow, and nothing is out of reach
			silent.Reset(answerTimeout)
			slow.Reset(answerTimeout / 2)
		case <-silent.C:
			u.health.failed(errNoAnswer, false)
		case <-parent.Done():
			return reading{err: parent.Err()}
		}
	}
}

// givenUp is the error of a read that another one has taken the place of.
type givenUp struct{ error }

// askIfAlive asks for the key without its value, and tells alive of the answer.
func (u *upstream) askIfAlive(ctx context.Context, alive chan<- struct{}) {
	if _, err := kv.Stat(ctx, u.store, kv.Key(u.key)); err != nil {
		return
	}
	select {
	case alive <- struct{}{}:
	case <-ctx.Done():
	}
}

// readOnce is one request, or two: a large value is not transferred again while its metadata says that it is the same.
func (u *upstream) readOnce(ctx context.Context, e expected) (r reading) {
	r.ticket, r.began = u.fresh.wanted.Load(), time.Now()
	if s, ok := kv.As[kv.Stater](u.store); ok && e.size > statAbove {
		r.snapshot, r.err = s.Stat(ctx, kv.Key(u.key))
		if r.err != nil || e.isIn(r.snapshot) {
			r.unread = &e.place
			return r
		}
	}
	r.snapshot, r.err = u.store.Get(ctx, kv.Key(u.key))
	if errors.Is(r.err, kv.ErrTooLarge) {
		u.readTooLarge(ctx, e, &r)
	}
	return r
}

// expected is what a read will find if nothing has changed.
type expected struct {
	place place
	size  int  // of the value; zero where the key is absent
	known bool // there is anything to expect
}

// isIn reports whether s holds what was expected, and is not older.
func (e *expected) isIn(s kv.Snapshot) bool {
	return len(s.Entries) == 1 && s.Revision >= e.place.revision && sameEntry(&s.Entries[0], &e.place.entry)
}

// readAgainAfter is how long a read may be without an answer before another is begun, and how many may be under way. A store that
// looks after its own reads is given longer: a second read of a large value makes a slow link slower.
func (u *upstream) readAgainAfter(e expected) (d time.Duration, most int) {
	d, most = answerTimeout, mostReads
	switch {
	case u.readsAgain() && e.known:
		d, most = readAgainSoon, mostSmallReads // only a few bytes are to come, if nothing has changed
	case u.readsAgain():
		d = readAgainSlowly
	}
	if stale := u.config.maxStaleness / 4; stale > 0 {
		d = min(d, stale)
	}
	return d, most
}

// confirm tells those who wait for a read that r, which the feed has taken, is one.
func (u *upstream) confirm(r reading) {
	upTo, epoch := u.feed.known()
	u.fresh.confirm(r.ticket, r.began, upTo, epoch)
}

// readFailed is the end of a session by a read that failed.
func (u *upstream) readFailed(ctx context.Context, err error) error {
	if ctx.Err() == nil && isTold(err) {
		u.feed.fault(err)
	}
	return readError{err}
}

// watchFailed is the end of a session by the watch's own end.
func (u *upstream) watchFailed(err error) error {
	u.feed.streamFailed(err)
	switch {
	case errors.Is(err, kv.ErrPermission), errors.Is(err, kv.ErrClosed):
		return fmt.Errorf("%w: %w", errRefused, err)
	case errors.Is(err, kv.ErrTooLarge): // what it is about may not be the newest, or a read may be able to go past it
	case isTold(err):
		u.feed.fault(err)
	}
	return err
}

// checkInterval is how long a silence may last before the store is asked; zero for ever.
func (u *upstream) checkInterval() time.Duration {
	d := u.config.checkEvery
	if stale := u.config.maxStaleness / 2; stale > 0 && (d == 0 || stale < d) {
		d = stale
	}
	return d
}
