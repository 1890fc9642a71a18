package value_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV1FirstGetReturnsTheValue(t *testing.T) {
	each(t, v1, func(w *world) {
		rev := w.put("one")
		a := watch(w, w.text())
		a.Gives("one")
		if a.Revision() != rev {
			w.broken("Revision is %d after the value of %d", a.Revision(), rev)
		}
	})
}

func TestV1FirstGetIsLinearizable(t *testing.T) {
	for _, c := range []struct {
		name   string
		opened string // when the second watcher is opened
		opts   []value.WatchOption
	}{
		{"opened after the write", "after", nil},
		{"opened before the write", "before", nil},
		{"every update, opened after the write", "after", []value.WatchOption{value.EveryUpdate()}},
		{"every update, opened before the write", "before", []value.WatchOption{value.EveryUpdate()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, v1, func(w *world) {
				v := w.text()
				first := w.watchFrom("one", v)
				w.Streaming(1)

				var second *valuetest.Watcher[string]
				if c.opened == "before" {
					reads := w.Counts().Gets
					second = watch(w, v, c.opts...)
					w.Until("the read of its opening was made", func(n fault.Counts) bool { return n.Gets > reads })
				}
				event := w.Hold(fault.Watches, fault.Answered)
				w.put("two")
				w.Held(event) // the watch has not delivered the write
				if c.opened == "after" {
					second = watch(w, v, c.opts...)
				}
				second.Gives("two")
				event.Release()
				first.Gives("two")
				second.HasNothing() // the event is not returned again
				w.put("three")
				second.Gives("three")
			})
		})
	}
}

func TestV1AReadBegunBeforeTheCallIsNotEnough(t *testing.T) {
	each(t, v1, func(w *world) {
		w.put("one")
		answer := w.Hold(fault.Gets, fault.Answered) // read, and not yet answered
		a := watch(w, w.text())
		w.Held(answer)
		event := w.Hold(fault.Watches, fault.Answered)
		w.put("two")
		c := a.Begin()
		c.Waits()
		began := time.Now()
		answer.Release()
		c.Gives("two")
		if d := time.Since(began); w.InBubble() && d != 0 {
			w.broken("the read after the call was begun %v after the one before it", d)
		}
		event.Release()
	})
}

func TestV1APendingReadIsNotEnough(t *testing.T) {
	inBubble(t, v1+", and it begins as soon as an earlier read is answered", func(w *world) {
		w.put("one")
		v := w.text()
		watch(w, v).Gives("one")
		w.Streaming(1)
		read := w.Hold(fault.Gets, fault.Answered)
		before := watch(w, v).Begin()
		w.Held(read)
		event := w.Hold(fault.Watches, fault.Answered)
		w.put("two")
		after := watch(w, v).Begin()
		after.Waits()
		began := time.Now()
		read.Release()
		if got := before.Got(); got.Err != nil || got.Value != "one" && got.Value != "two" {
			w.broken("the Get before the put returned %v", got)
		}
		after.Gives("two")
		if d := time.Since(began); d != 0 {
			w.broken("the read after the call was begun %v after the one before it", d)
		}
		event.Release()
	})
}

func TestV1ValueGetReadsOnce(t *testing.T) {
	each(t, "Value.Get is one linearizable, decoded read without a watcher", func(w *world) {
		ctx := w.Context()
		v := w.text()
		if got, err := v.Get(ctx); !errors.Is(err, kv.ErrNotFound) {
			w.broken("Value.Get of an absent key returned %s", describe(got, err))
		}
		w.put("one")
		if got, err := v.Get(ctx); err != nil || got != "one" {
			w.broken("Value.Get returned %s, want one", describe(got, err))
		}
		w.delete()
		if got, err := w.text(value.WithDefault("none")).Get(ctx); err != nil || got != "none" {
			w.broken("Value.Get of a deleted key with a default returned %s", describe(got, err))
		}
		bad := w.put("x")
		_, err := value.New(w.Store, w.key, value.JSON[int]).Get(ctx)
		var decode *value.DecodeError
		if !errors.As(err, &decode) || decode.Revision != bad {
			w.broken("Value.Get of a bad value returned the error %v", err)
		}
		w.Fail(1, kv.ErrUnavailable, fault.Gets)
		if _, err := v.Get(ctx); !errors.Is(err, kv.ErrUnavailable) {
			w.broken("Value.Get returned the error %v, want the store's own", err)
		}
		if n := w.Counts(); n.Watches != 0 {
			w.broken("there were %d watches", n.Watches)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := v.Get(ended); !errors.Is(err, context.Canceled) {
			w.broken("Value.Get with an ended context returned the error %v", err)
		}
	})
}
