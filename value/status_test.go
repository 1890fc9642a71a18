package value_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV11StatusReportsEachState(t *testing.T) {
	inBubble(t, "V11, Status and log say what is going on", func(w *world) {
		var log logbook
		w.put("one")
		v := w.text(log.option())
		if s := v.Status(); s != (value.Status{}) {
			w.broken("before the Value is used, Status is %+v", s)
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
			w.broken("nothing is wrong, but the log says:\n%s", &log)
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
			w.broken("a connection that neither lasted nor delivered anything ended the outage:\n%s", &log)
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

func TestV11AWatchThatEndsWithoutAnErrorIsInStatus(t *testing.T) {
	inBubble(t, "V11, what is going on is never hidden", func(w *world) {
		v := w.text()
		a := w.watchFrom("one", v)
		w.Streaming(1)
		w.EndStreams(nil)
		w.Settle()
		if s := v.Status(); s.LastError == nil {
			w.broken("a watch has ended, but Status is %+v", s)
		}
		w.put("two")
		a.Gives("two")
	})
}

func TestV11ABadValueIsLoggedOnce(t *testing.T) {
	inBubble(t, "V11, a program that only calls Latest sees in Status and log that the newest value is bad", func(w *world) {
		var log logbook
		w.put("1")
		v := w.number(log.option())
		watch(w, v, value.EveryUpdate())
		watch(w, v)
		w.Settle()
		w.put("bad")
		w.Settle()
		w.Streaming(1)
		w.EndStreams(kv.ErrUnavailable)
		w.pass(time.Minute)
		const line = "the newest value does not decode"
		if log.count(line) != 1 || v.Status().BadValue == nil {
			w.broken("Status is %+v, and the log says:\n%s", v.Status(), &log)
		}
		w.put("2")
		w.Settle()
		if s := v.Status(); s.BadValue != nil {
			w.broken("the newest value is good, but Status is %+v", s)
		}
		w.put("bad")
		w.Settle()
		if log.count(line) != 2 {
			w.broken("a second value was bad, and the log says:\n%s", &log)
		}
	})
}

// asking is a handler of log records that calls Status, like a handler that adds the Status to each record.
type asking struct {
	slog.Handler
	ask func()
}

func (a asking) Enabled(context.Context, slog.Level) bool { return true }

func (a asking) Handle(context.Context, slog.Record) error {
	a.ask()
	return nil
}

func TestV11ALogHandlerMayCallStatus(t *testing.T) {
	inBubble(t, "V11, Status may be called from anywhere, even by the handler of the log", func(w *world) {
		var v *value.Value[string]
		asked := 0
		v = w.text(value.WithLogger(slog.New(asking{slog.DiscardHandler, func() {
			v.Status()
			v.Latest()
			asked++
		}})))
		a := watch(w, v)
		w.pass(6 * time.Second) // the key does not exist yet
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

func TestV11StatusHasABadValueBeforeAGetReturnsIt(t *testing.T) {
	inBubble(t, "V11, after a Get has returned a bad value, Status has it", func(w *world) {
		w.put("1")
		var v *value.Value[int]
		var a, other *value.Watcher[int]
		asked := 0
		v = w.number(value.WithLogger(slog.New(asking{slog.DiscardHandler, func() { // the only record reports the bad value
			asked++
			if v.Status().BadValue == nil {
				w.broken("the log reports a bad value, but Status has none")
			}
			if _, err := other.TryGet(); !errors.Is(err, value.ErrNothingNew) {
				w.broken("TryGet returns %v before Status and the log are complete", err)
			}
		}})))
		a, other = v.Watch(), v.Watch()
		defer a.Close()
		defer other.Close()
		for _, x := range []*value.Watcher[int]{a, other} {
			if got, err := x.Get(w.Context()); err != nil || got != 1 {
				w.Fatalf("the first Get returned %d, %v", got, err)
			}
		}
		w.Settle()
		w.put("bad")
		var bad *value.DecodeError
		if _, err := a.Get(w.Context()); !errors.As(err, &bad) || asked != 1 {
			w.broken("Get returned %v, and %d records were logged", err, asked)
		}
	})
}
