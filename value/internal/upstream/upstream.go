package upstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/watchkv/watchkv/kv"
)

// upstream keeps a feed supplied from a store: it reads and watches, and when that fails it does so again, for as long as its context
// lasts. While a watch runs, it reads again when a watcher asks for a fresh read, and when the watch has been silent for long.
type upstream struct {
	store    kv.Store
	subject  *Subject
	settings *Settings
	feed     Sink
	health   *Health
	fresh    *Freshness
	lag      time.Duration // how long a watch may be behind what a read has shown
	whole    wholeRead     // the last one
}

func New(store kv.Store, subject *Subject, settings *Settings, feed Sink, health *Health, fresh *Freshness) *upstream {
	return &upstream{store: store, subject: subject, settings: settings, feed: feed, health: health, fresh: fresh}
}

// Sink takes what an upstream reads and what its watch delivers. It knows the type of the values, which the upstream does not.
type Sink interface {
	Begin(s Found) (after kv.Revision)
	Deliver(b kv.Batch) error
	Check(s Found, floor kv.Revision) (behind bool, err error)
	Fault(err error)
	StreamFailed(err error)
	Position() kv.Revision                   // what the stream has delivered everything up to
	IsBehind() bool                          // the stream has yet to bring what a read has shown
	Newest() Position                        // what the watchers can see
	Streamed() Position                      // what the stream has brought
	Known() (upTo kv.Revision, epoch uint64) // what the watchers can see; no read begun now is of an older revision
	Expected() Expected                      // what a read will find, if nothing has changed
	IsWaiting() bool                         // the key is absent, nothing stands in for it, and the log has not said so
	LogWaiting()
}

// Why a session ends, in addition to the store's own errors. All of these pass.
var (
	errNoAnswer = fmt.Errorf("%w: no answer to a read within %v", kv.ErrUnavailable, AnswerTimeout)
	ErrBehind   = fmt.Errorf("%w: the watch is silent about what a read has shown", kv.ErrUnavailable)
	ErrEnded    = fmt.Errorf("%w: the watch ended without an error", kv.ErrUnavailable)
)

// errReadFailed matches the end of a session by a read.
var errReadFailed = errors.New("a read failed")

// readError is the error of a read that ended a session.
type readError struct{ error }

func (e readError) Is(target error) bool { return target == errReadFailed }
func (e readError) Unwrap() error        { return e.error }

// Run supplies the feed until ctx is done.
func (u *upstream) Run(ctx context.Context) {
	retry := NewRetry(u.settings)
	atOnce := true         // after the next failure it is tried again at once, if that helps against such a failure
	var earliest time.Time // but not before this time, so that many failures in a row make no busy loop
	u.lag = LagTimeout
	for {
		progress, err := u.session(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case progress:
			retry.Reset()
			atOnce = true
			u.lag = LagTimeout
		case errors.Is(err, ErrBehind):
			u.lag = min(2*u.lag, MostSilence)
		}
		passing := atOnce && helpedByReading(err)
		u.health.failed(err, passing)
		if fault := faultOf(err); fault != nil {
			u.feed.Fault(fault) // last: who gets it may ask for the Status
		}
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
	stale := u.settings.MaxStaleness
	if stale == 0 || errors.Is(err, errReadFailed) {
		return d
	}
	return min(d, max(time.Until(u.fresh.Confirmed.Load().Began.Add(stale/2)), u.settings.RetryFirst))
}

// helpedByReading reports whether err, which ended a watch, is no sign of trouble: a new read is the answer to it.
func helpedByReading(err error) bool {
	return errors.Is(err, kv.ErrCompacted) || errors.Is(err, kv.ErrReset) || errors.Is(err, ErrLostEvent) ||
		errors.Is(err, ErrRefused) || errors.Is(err, ErrBehind) ||
		errors.Is(err, kv.ErrTooLarge) && !errors.Is(err, errReadFailed)
}

// NewRetry returns the delays between attempts. Each is random within half of itself, and the longest still within
// the limit.
func NewRetry(s *Settings) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.Multiplier, b.RandomizationFactor = 2, 0.5
	b.MaxInterval = max(s.RetryMost/3*2, 1)
	b.InitialInterval = min(s.RetryFirst, b.MaxInterval)
	b.Reset()
	return b
}

// pause waits for d, less if a watcher that has just been opened wants its first read: it gets it no later
// than after the shortest delay. It reports whether ctx still lasts.
func (u *upstream) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	end := time.Now().Add(d)
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-u.fresh.hurried:
			timer.Reset(min(time.Until(end), u.settings.RetryFirst))
		case <-ctx.Done():
			return false
		}
	}
}

// read reads the key linearizably. No constant bounds it: a large value over a slow link takes minutes. When there is no
// answer for long, the Status and the log say so, and the key is read once more at the same time, because a single
// request may have been lost. The first answer is taken. Of too many reads the oldest is given up, and the next has more
// time than the one before.
func (u *upstream) read(ctx context.Context, e Expected) reading {
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
	silent := time.NewTimer(AnswerTimeout)
	defer silent.Stop()
	slow := stoppedTimer()
	if u.readsAgain() {
		slow.Reset(AnswerTimeout / 2)
	}
	defer slow.Stop()
	alive := make(chan struct{})
	for {
		select {
		case r := <-answers:
			if lost, ok := errors.AsType[givenUp](r.err); ok && parent.Err() == nil {
				if time.Since(r.began) >= AnswerTimeout { // or it was given up for another one before it was late
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
			if len(running) == most { // from now on each read replaces the oldest one, which must have had enough time
				after *= 2
				if u.readsAgain() {
					after = max(after, AnswerTimeout)
				}
			}
			again.Reset(after)
		case <-slow.C:
			reads.Go(func() { u.askIfAlive(ctx, alive) })
		case <-alive: // the read is slow, and nothing is out of reach
			silent.Reset(AnswerTimeout)
			slow.Reset(AnswerTimeout / 2)
		case <-silent.C:
			u.health.failed(errNoAnswer, false)
		case <-parent.Done():
			return reading{err: parent.Err()}
		}
	}
}

// givenUp is the error of a read that another one has taken the place of.
type givenUp struct{ error }

// askIfAlive asks for a key without its value, and sends to alive when there is an answer.
func (u *upstream) askIfAlive(ctx context.Context, alive chan<- struct{}) {
	if _, err := kv.Stat(ctx, u.store, u.subject.probe()); err != nil {
		return
	}
	select {
	case alive <- struct{}{}:
	case <-ctx.Done():
	}
}

// readOnce is one request, or two: a large value is not transferred again while its metadata says that it is the same, and neither are
// many keys while a summary says so.
func (u *upstream) readOnce(ctx context.Context, e Expected) (r reading) {
	r.ticket, r.began = u.fresh.wanted.Load(), time.Now()
	changed := false
	if e.briefly {
		var done bool
		if done, changed = u.readBriefly(ctx, &e, &r); done || changed && e.onlyBriefly {
			r.changed = changed
			return r
		}
	}
	if s, ok := kv.As[kv.Stater](u.store); ok && e.Size > StatAbove && !changed {
		r.snapshot, r.err = s.Stat(ctx, u.subject.Range)
		if r.err != nil || u.subject.isIn(r.snapshot, &e) {
			r.unread = &e.Place
			return r
		}
	}
	r.snapshot, r.err = u.store.Get(ctx, u.subject.Range)
	if errors.Is(r.err, kv.ErrTooLarge) && u.subject.isKey() {
		u.readTooLarge(ctx, e, &r)
	}
	return r
}

// Expected is what a read will find if nothing has changed.
type Expected struct {
	Place Position
	Size  int  // of the values; zero where the key is absent
	Known bool // there is anything to expect

	briefly     bool // a summary that says so is enough
	onlyBriefly bool // and where it says the opposite, nothing else is to be read
}

// readAgainAfter is how long a read may be without an answer before another is begun, and how many may be under way. A store that
// looks after its own reads is given longer: a second read of a large value makes a slow link slower.
func (u *upstream) readAgainAfter(e Expected) (d time.Duration, most int) {
	d, most = AnswerTimeout, mostReads
	switch {
	case u.readsAgain() && e.Known:
		d, most = readAgainSoon, mostSmallReads // only a few bytes are to come, if nothing has changed
	case u.readsAgain():
		d = readAgainSlowly
	}
	if stale := u.settings.MaxStaleness / 4; stale > 0 {
		d = min(d, stale)
	}
	return d, most
}

// confirm reports r, which the feed has taken, to those who wait for a read.
func (u *upstream) confirm(r reading) {
	if r.shown != nil && !r.briefly {
		u.whole.took(r.shown, r.began)
	}
	upTo, epoch := u.feed.Known()
	u.fresh.confirm(r.ticket, r.began, upTo, epoch)
}

// watchFailed is the end of a session by the watch's own end.
func (u *upstream) watchFailed(err error) error {
	u.feed.StreamFailed(err)
	if errors.Is(err, kv.ErrPermission) || errors.Is(err, kv.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// faultOf returns what a Get returns for the error that a session ended with; nil for nothing.
func faultOf(err error) error {
	if read, ok := errors.AsType[readError](err); ok {
		err = read.error
	} else if errors.Is(err, ErrRefused) || errors.Is(err, kv.ErrTooLarge) {
		return nil // what is too large may not be the newest, or a read may be able to go past it
	}
	if !IsReturned(err) {
		return nil
	}
	return err
}
