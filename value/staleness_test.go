package value_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

const (
	v11stale = "V11, with WithMaxStaleness a Get says ErrStale rather than return what was not confirmed for that long"
	v11check = "V11, after a silence the store is asked whether the watch is still what it seems"
)

func TestV11StaleWhenCutOff(t *testing.T) {
	eachMode(t, inBubble, v11stale+", once every so long, and goes on as before when the store is back", func(w *world, opts ...value.WatchOption) {
		const limit = 10 * time.Second
		v := w.text(value.WithMaxStaleness(limit))
		a := w.watchFrom("one", v, opts...)
		w.Settle()
		w.Cut()
		cut := time.Now()
		a.Fails(value.ErrStale)
		if d := time.Since(cut); d > limit || d < limit/2-time.Second {
			w.broken("ErrStale was told %v after the cut, the limit is %v", d, limit)
		}
		for range 5 {
			said := time.Now()
			a.Fails(value.ErrStale)
			if d := time.Since(said); d != limit {
				w.broken("ErrStale was told again after %v", d)
			}
		}
		w.put("two")
		a.Fails(value.ErrStale)
		w.Heal()
		a.Gives("two")
		w.pass(time.Hour)
		a.HasNothing()
		if age := time.Since(v.Status().Confirmed); age > limit {
			w.broken("the store is fine and was last confirmed %v ago", age)
		}
	})
}

func TestV11OldNewsIsNotTold(t *testing.T) {
	eachMode(t, inBubble, v11stale+", also while there is unread news that is old", func(w *world, opts ...value.WatchOption) {
		v := w.text(value.WithMaxStaleness(10 * time.Second))
		a := w.watchFrom("one", v, opts...)
		w.put("two")
		w.Settle()
		w.Cut()
		w.pass(time.Minute)
		a.Fails(value.ErrStale)
		if _, err := a.TryGet(); !errors.Is(err, value.ErrStale) {
			w.broken("TryGet returned the error %v", err)
		}
		w.Heal()
		w.pass(30 * time.Second)
		a.Gives("two")
	})
}

func TestV11StaleFromTheBeginning(t *testing.T) {
	inBubble(t, v11stale, func(w *world) {
		w.put("one")
		w.Cut()
		a := watch(w, w.text(value.WithMaxStaleness(10*time.Second), value.WithDefault("none")))
		began := time.Now()
		a.Fails(value.ErrStale)
		if d := time.Since(began); d != 10*time.Second {
			w.broken("a watcher that never heard from the store said ErrStale after %v", d)
		}
		w.Heal()
		a.Gives("one")
	})
}

func TestV11ABusyStreamIsNoConfirmation(t *testing.T) {
	inBubble(t, v11stale+"; what a watch brings may be late", func(w *world) {
		a := w.watchFrom("one", w.text(value.WithMaxStaleness(10*time.Second)))
		w.Settle()
		w.Cut(fault.Gets)
		for range 30 {
			w.put("more")
			w.pass(time.Second)
		}
		a.Fails(value.ErrStale)
	})
}

func TestV11StaleByChan(t *testing.T) {
	eachMode(t, inBubble, v11stale+", by Chan too", func(w *world, opts ...value.WatchOption) {
		w.put("one")
		out := channel(w, w.text(value.WithMaxStaleness(10*time.Second)), opts...)
		if r := <-out; r.Value != "one" || r.Err != nil {
			w.broken("the channel gave %+v", r)
		}
		w.put("two")
		w.Settle()
		w.Cut()
		w.pass(time.Minute)
		if r := <-out; !errors.Is(r.Err, value.ErrStale) {
			w.broken("after a minute of a cut the channel gave %+v", r)
		}
		w.Heal()
		w.pass(9 * time.Second)
		for { // what it says of the cut may have been waiting
			r := <-out
			if errors.Is(r.Err, value.ErrStale) {
				continue
			}
			if r.Value != "two" || r.Err != nil {
				w.broken("after the cut the channel gave %+v", r)
			}
			break
		}
	})
}

func TestV11ChanWaitsWhileNobodyTakes(t *testing.T) {
	inBubble(t, "V11, nothing is polled while a refusal waits to be taken from the channel", func(w *world) {
		w.Fail(-1, kv.ErrPermission, fault.Reads)
		out := channel(w, w.text(value.WithMaxStaleness(time.Hour)))
		w.pass(10 * time.Minute) // a goroutine that spins would stop the bubble's time
		if r := <-out; !errors.Is(r.Err, kv.ErrPermission) {
			w.broken("the channel gave %+v", r)
		}
	})
}

func TestV11ChanKeepsAGapThatIsNotTaken(t *testing.T) {
	inBubble(t, "V4, V11: a *GapError that nobody has taken yet is not lost to ErrStale", func(w *world) {
		w.putNumbers(1, 1)
		out := channel(w, w.number(value.WithMaxStaleness(10*time.Second)), value.EveryUpdate())
		if r := <-out; r.Value != 1 || r.Err != nil {
			w.broken("the channel gave %+v", r)
		}
		w.Streaming(1)
		w.losesForGood(2, 9)
		w.pass(time.Second) // the gap is there to be taken
		w.Cut()
		w.pass(time.Minute)
		w.Heal()
		w.pass(time.Minute)
		for {
			r := <-out
			var gap *value.GapError
			switch {
			case errors.As(r.Err, &gap):
				return
			case !errors.Is(r.Err, value.ErrStale):
				w.broken("the channel gave %+v, and no gap", r)
			}
		}
	})
}

func TestV11TheCheckFindsADeadStream(t *testing.T) {
	eachMode(t, inBubble, v11check+", which finds a stream that died unnoticed", func(w *world, opts ...value.WatchOption) {
		w.put("one")
		var log logbook
		v := w.text(value.WithCheck(20*time.Second), log.option())
		a := watch(w, v, opts...)
		a.Gives("one")
		w.Streaming(1)
		w.Silence()
		w.put("two")
		began := time.Now()
		a.Gives("two")
		if d := time.Since(began); d > 30*time.Second {
			w.broken("what a dead stream did not bring was told after %v", d)
		}
		w.pass(10 * time.Second)
		w.put("three") // the stream was opened again
		began = time.Now()
		a.Gives("three")
		if d := time.Since(began); d != 0 {
			w.broken("the stream was not opened again: the next update took %v", d)
		}
		if log.count("had stopped delivering") != 1 || log.count("\n") != 1 {
			w.broken("of a stream that died unnoticed the log says:\n%s", &log)
		}
	})
}

func TestV11TheCheckFindsADeadStreamThatWasOnlySlowBefore(t *testing.T) {
	inBubble(t, v11check+": a stream that is slow goes on, and when it dies later that is found as well", func(w *world) {
		w.putNumbers(0, 0)
		v := w.number()
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		w.Streaming(1)
		watches := w.Counts().Watches
		slow := w.Delay(3*time.Second, fault.Watches, fault.Answered)
		w.pass(58 * time.Second)
		w.putNumbers(1, 1)
		for i := 2; i <= 20; i++ { // the check falls into this, and the stream moves all the time
			w.pass(time.Second)
			w.putNumbers(i, i)
			watch(w, v) // whose first read shows the newest
		}
		w.pass(10 * time.Second)
		a.GivesEach(numbers(1, 20)...)
		slow.Remove()
		w.pass(30 * time.Second)
		if n := w.Counts().Watches; n != watches {
			w.broken("a stream that was slow was opened again %d times", n-watches)
		}
		w.Silence()
		w.putNumbers(21, 21)
		began := time.Now()
		a.GivesEach(21)
		if d := time.Since(began); d > 70*time.Second {
			w.broken("what a dead stream did not bring was told after %v", d)
		}
	})
}

func TestV11TheCheckFindsADeadStreamWhoseHistoryIsGone(t *testing.T) {
	inBubble(t, v11check+", also where what it missed is compacted", func(w *world) {
		a := w.everyFrom(1)
		seen := a.Revision()
		w.Streaming(1)
		w.Silence()
		last := w.putNumbers(2, 9)
		w.compact()
		began := time.Now()
		a.HasGap(seen, last, kv.ErrCompacted)
		a.GivesEach(9)
		if d := time.Since(began); d > 70*time.Second {
			w.broken("what a dead stream did not bring was told after %v", d)
		}
	})
}

func TestV11AnIdleValueCostsOneReadAMinute(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []value.Option
		most int
	}{
		{"by default", nil, 60},
		{"switched off", []value.Option{value.WithCheck(0)}, 0},
		{"every ten minutes", []value.Option{value.WithCheck(10 * time.Minute)}, 6},
		{"with a limit to staleness", []value.Option{value.WithMaxStaleness(time.Minute)}, 120},
		{"with a limit and no check", []value.Option{value.WithMaxStaleness(time.Minute), value.WithCheck(0)}, 120},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, "V11, V12: what an idle Value costs", func(w *world) {
				w.put("one")
				v := w.text(c.opts...)
				a, _ := both(w, v, "one")
				w.Settle()
				before := w.Counts()
				a.Begin().Waits()
				w.pass(time.Hour)
				after := w.Counts()
				if n := after.Gets - before.Gets; n > c.most || n < c.most-1 {
					w.broken("in an idle hour there were %d reads, want %d", n, c.most)
				}
				if n := after.Watches - before.Watches; n != 0 {
					w.broken("in an idle hour %d watches were opened", n)
				}
			})
		})
	}
}

func TestV11NoCheckWhileTheWatchDelivers(t *testing.T) {
	inBubble(t, v11check+", and only then", func(w *world) {
		a := w.watchFrom("one", w.text())
		w.Settle()
		before := w.Counts().Gets
		for range 60 {
			w.put("more")
			w.pass(59 * time.Second)
		}
		if n := w.Counts().Gets - before; n != 0 {
			w.broken("a watch that is never silent for a minute was checked %d times", n)
		}
		w.Silence()
		w.put("unseen")
		w.pass(2 * time.Second)
		if got, err := a.TryGet(); got != "unseen" || err != nil {
			w.broken("after a minute of silence TryGet returned %s", describe(got, err))
		}
	})
}

func TestV11StatusIsHonest(t *testing.T) {
	inBubble(t, "V11, Status and log say what is going on", func(w *world) {
		var log logbook
		w.put("one")
		v := w.text(log.option())
		if s := v.Status(); s != (value.Status{}) {
			w.broken("before it is used Status is %+v", s)
		}
		a := watch(w, v)
		a.Gives("one")
		start := time.Now()
		w.Settle()
		if s := v.Status(); !s.Connected || !s.Since.Equal(start) || s.LastError != nil || s.Revision != 2 ||
			!s.Confirmed.Equal(start) || s.Watchers != 1 {
			w.broken("when connected Status is %+v", s)
		}
		w.pass(10 * time.Second)
		rev := w.put("two")
		w.Settle()
		if s := v.Status(); s.Revision != rev || !s.Confirmed.Equal(start) {
			w.broken("after an event Status is %+v", s)
		}
		rev = w.putOther()
		w.pass(61 * time.Second)
		if s := v.Status(); s.Revision != rev || time.Since(s.Confirmed) > 5*time.Second {
			w.broken("after a check at revision %d Status is %+v", rev, s)
		}
		start = v.Status().Confirmed
		if log.String() != "" {
			w.broken("nothing is wrong and the log says:\n%s", &log)
		}
		w.Fail(-1, kv.ErrUnavailable, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		out := time.Now()
		w.pass(time.Hour)
		if s := v.Status(); s.Connected || !s.Since.Equal(out) || !errors.Is(s.LastError, kv.ErrUnavailable) || !s.Confirmed.Equal(start) {
			w.broken("in an outage Status is %+v", s)
		}
		if n := log.count("cannot be reached"); n != 1 || log.count("\n") != 1 {
			w.broken("in an outage the log says:\n%s", &log)
		}
		w.Clear()
		w.Streaming(1)
		w.Settle()
		if log.count("is back") != 0 {
			w.broken("a connection that has neither lasted nor brought anything ended the outage:\n%s", &log)
		}
		w.put("three")
		w.Settle()
		if log.count("is back") != 1 {
			w.broken("an update did not end the outage:\n%s", &log)
		}
		w.pass(time.Minute)
		if s := v.Status(); !s.Connected || !s.Since.After(out) || s.LastError == nil {
			w.broken("after an outage Status is %+v", s)
		}
		if n := log.count("is back"); n != 1 || log.count("\n") != 2 {
			w.broken("after an outage the log says:\n%s", &log)
		}
		a.Close()
		if s := v.Status(); s.Connected || s.Watchers != 0 {
			w.broken("after Close Status is %+v", s)
		}
	})
}

// asking is a handler of log records that asks for the Status, as one does that adds it to each.
type asking struct {
	slog.Handler
	ask func()
}

func (a asking) Enabled(context.Context, slog.Level) bool { return true }

func (a asking) Handle(context.Context, slog.Record) error {
	a.ask()
	return nil
}

func TestV11StatusCanBeAskedForByTheLog(t *testing.T) {
	inBubble(t, "V11, Status may be asked for from anywhere, also by what handles the log", func(w *world) {
		var v *value.Value[string]
		asked := 0
		v = w.text(value.WithLogger(slog.New(asking{slog.DiscardHandler, func() {
			v.Status()
			v.Latest()
			asked++
		}})))
		a := watch(w, v)
		w.pass(6 * time.Second) // the key does not exist
		w.put("one")
		a.Gives("one")
		w.Fail(5, kv.ErrUnavailable, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		w.pass(time.Minute)
		if asked != 3 {
			w.broken("%d records were logged, want one of an absent key, an outage, and its end", asked)
		}
	})
}

// What was read of the store's history is not taken while it may not be told. To wait for it then would be to spin, which
// in a bubble never ends.
func TestV11AnEveryUpdateGetRestsWhileStale(t *testing.T) {
	inBubble(t, v11stale+", and waits meanwhile", func(w *world) {
		const limit = 2 * time.Second
		v := w.text(value.WithBacklog(1), value.WithMaxStaleness(limit))
		a := w.watchFrom("0", v, value.EveryUpdate())
		for i := range 3 {
			w.put(strconv.Itoa(i + 1))
		}
		w.Settle()
		if got, err := a.TryGet(); !errors.Is(err, value.ErrNothingNew) {
			w.broken("TryGet returned %s while the history is read", describe(got, err))
		}
		w.Settle()
		w.Cut()
		w.pass(limit)
		a.Fails(value.ErrStale)
		ctx, cancel := context.WithTimeout(w.Context(), limit/2)
		defer cancel()
		if got, err := a.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			w.broken("Get returned %s, want it to wait until its context ends", describe(got, err))
		}
		w.Heal()
		a.GivesEach("1", "2", "3")
	})
}
