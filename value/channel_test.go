package value_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestChanSendsTheNewest(t *testing.T) {
	inBubble(t, "a newer value replaces one that waits in the channel; with every update, none is replaced", func(w *world) {
		w.putNumbers(1, 1)
		v := w.number()
		newest, every := channel(w, v), channel(w, v, value.EveryUpdate())
		w.Settle()
		for i := 2; i <= 50; i++ {
			w.putNumbers(i, i)
			w.Settle()
		}
		if r := <-newest; r.Value != 50 || r.Err != nil || r.Revision != 51 {
			w.broken("the channel of the newest gave %+v", r)
		}
		for i := 1; i <= 50; i++ {
			if r := <-every; r.Value != i || r.Err != nil || r.Revision != kv.Revision(i+1) {
				w.broken("the channel of every update gave %+v, want %d", r, i)
			}
		}
		w.delete()
		w.Settle()
		for _, out := range []<-chan value.Result[int]{newest, every} {
			if r := <-out; !errors.Is(r.Err, value.ErrDeleted) {
				w.broken("for a deletion the channel gave %+v", r)
			}
		}
	})
}

func TestChanDoesNotSendChangesThatWereUndoneBeforeTheyWereReceived(t *testing.T) {
	inBubble(t, "V6, V13: a deletion is returned once, and only after a value; what is unchanged is not returned again", func(w *world) {
		out := channel(w, w.text())
		want := func(v string, err error) {
			w.Helper()
			w.Settle()
			select {
			case r := <-out:
				if r.Value != v || !errors.Is(r.Err, err) {
					w.broken("the channel gave %+v, want %q and %v", r, v, err)
				}
			default:
				w.broken("the channel has nothing, want %q and %v", v, err)
			}
		}
		wantNothing := func() {
			w.Helper()
			w.Settle()
			select {
			case r := <-out:
				w.broken("the channel gave %+v, want nothing", r)
			default:
			}
		}
		comesAndGoes := func() {
			w.Settle()
			w.put("untaken")
			w.Settle()
			w.delete()
		}
		comesAndGoes()
		wantNothing()
		w.put("one")
		want("one", nil)
		w.delete()
		want("", value.ErrDeleted)
		comesAndGoes()
		wantNothing()
		w.put("two")
		want("two", nil)
		w.backup()
		w.put("untaken")
		w.Settle()
		w.restore()
		wantNothing()
		comesAndGoes()
		want("", value.ErrDeleted)
	})
}

func TestChanEndsWithItsContext(t *testing.T) {
	eachMode(t, inBubble, "the channel is closed when its context ends, and nothing is left running", func(w *world, opts ...value.WatchOption) {
		w.put("one")
		v := w.text()
		for _, taken := range []bool{false, true} {
			ctx, cancel := context.WithCancel(w.Context())
			out := v.Chan(ctx, opts...)
			if taken {
				<-out
			}
			w.Streaming(1)
			cancel()
			w.Until("no watch is left", func(c fault.Counts) bool { return c.Streams == 0 })
			for range out {
			}
		}
	})
}

func TestV1ChanSendsNothingOlderThanItsCall(t *testing.T) {
	for name, refuse := range map[string]error{"refused": kv.ErrPermission, "closed": kv.ErrClosed} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "V1: the first value of a channel is no older than the call; otherwise the channel gives an error", func(w *world) {
				w.put("old")
				v := w.text()
				other := watch(w, v) // it has the old value
				other.Gives("old")
				w.Settle()
				down := w.Fail(-1, refuse, fault.Reads)
				w.EndStreams(refuse)
				w.put("new")
				w.pass(time.Hour)
				out := channel(w, v)
				w.pass(time.Minute)
				if r := <-out; !errors.Is(r.Err, refuse) {
					w.broken("the channel gave %+v, want the error %q", r, refuse)
				}
				if refuse == kv.ErrClosed {
					return // the channel is closed after that
				}
				down.Remove()
				for r := range out {
					if r.Err == nil && r.Value == "new" {
						return
					}
					if !errors.Is(r.Err, refuse) {
						w.broken("the channel gave %+v, want \"new\"", r)
					}
				}
			})
		})
	}
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
		for { // an error of the cut may still wait in the channel
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

func TestV11ChanWaitsUntilAResultIsReceived(t *testing.T) {
	inBubble(t, "V11, the store is not polled while a refusal waits in the channel", func(w *world) {
		w.Fail(-1, kv.ErrPermission, fault.Reads)
		out := channel(w, w.text(value.WithMaxStaleness(time.Hour)))
		w.pass(10 * time.Minute) // a goroutine that spins would stop the bubble's time
		if r := <-out; !errors.Is(r.Err, kv.ErrPermission) {
			w.broken("the channel gave %+v", r)
		}
	})
}

func TestV11ChanKeepsAGapUntilItIsReceived(t *testing.T) {
	inBubble(t, "V4, V11: ErrStale does not replace a *GapError that waits in the channel", func(w *world) {
		w.putNumbers(1, 1)
		out := channel(w, w.number(value.WithMaxStaleness(10*time.Second)), value.EveryUpdate())
		if r := <-out; r.Value != 1 || r.Err != nil {
			w.broken("the channel gave %+v", r)
		}
		w.Streaming(1)
		w.losesForGood(2, 9)
		w.pass(time.Second) // now the gap waits in the channel
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
