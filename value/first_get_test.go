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

const v1 = "V1, the first Get returns the value as a linearizable read begun after the call finds it"

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
		opened string // when the second watcher is
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
				w.Held(event) // what was written is not known from the watch
				if c.opened == "after" {
					second = watch(w, v, c.opts...)
				}
				second.Gives("two")
				event.Release()
				first.Gives("two")
				second.HasNothing() // the event is not news to it
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

func TestV1AReadUnderWayIsNotEnough(t *testing.T) {
	inBubble(t, v1+", at once when one begun before it is answered", func(w *world) {
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

func TestV1AnAbsentKeyIsWaitedFor(t *testing.T) {
	each(t, "V1, where the key is absent Get waits until it is created", func(w *world) {
		a := watch(w, w.text())
		c := a.Begin()
		w.Streaming(1)
		c.Waits()
		w.put("one")
		c.Gives("one")
	})
}

func TestV1ADeletedKeyIsAbsent(t *testing.T) {
	each(t, "V1, where the key is absent the first Get waits until it is created", func(w *world) {
		w.put("one")
		w.delete()
		a := watch(w, w.text())
		c := a.Begin()
		w.Streaming(1)
		c.Waits()
		w.put("two")
		c.Gives("two")
	})
}

func TestV1TheDefaultIsGivenAtOnce(t *testing.T) {
	each(t, "V1, with a default an absent key reads as the default, at once", func(w *world) {
		v := w.text(value.WithDefault("none"))
		a, b := both(w, v, "none")
		a.HasNothing()
		b.HasNothing()
		w.put("one")
		a.Gives("one")
		b.Gives("one")
		if got, err := v.Get(w.Context()); err != nil || got != "one" {
			w.broken("Value.Get returned %s, want one", describe(got, err))
		}
	})
}

func TestV1TheDefaultIsNotGivenBeforeTheStoreSaidThatTheKeyIsAbsent(t *testing.T) {
	inBubble(t, "V1, a default is for an absent key, not for an unknown one", func(w *world) {
		w.put("one")
		w.Cut()
		a := watch(w, w.text(value.WithDefault("none")))
		c := a.Begin()
		w.pass(time.Minute)
		c.Waits()
		w.Heal()
		c.Gives("one")
	})
}

func TestV1TheLogSaysOnceWhatIsWaitedFor(t *testing.T) {
	const waits = "waiting for it to be created"
	const promise = "V1, the log says once, after a few seconds, that an absent key is waited for"
	t.Run("from the beginning", func(t *testing.T) {
		inBubble(t, promise, func(w *world) {
			var log logbook
			c := watch(w, w.text(log.option())).Begin()
			w.pass(time.Second)
			if log.count(waits) != 0 {
				w.broken("after one second the log says:\n%s", &log)
			}
			w.pass(10 * time.Minute)
			if log.count(waits) != 1 || log.count(w.key) != 1 {
				w.broken("after ten minutes the log says:\n%s", &log)
			}
			w.EndStreams(kv.ErrUnavailable)
			w.pass(10 * time.Minute)
			if log.count(waits) != 1 {
				w.broken("after a reconnection the log says:\n%s", &log)
			}
			w.put("one")
			c.Gives("one")
		})
	})
	t.Run("after the key was there", func(t *testing.T) {
		inBubble(t, promise, func(w *world) {
			var log logbook
			w.put("one")
			v := w.text(log.option())
			watch(w, v).Gives("one")
			w.pass(time.Hour)
			w.delete()
			c := watch(w, v).Begin()
			w.pass(time.Minute)
			if log.count(waits) != 1 {
				w.broken("a new watcher waits for a key that was deleted; the log says:\n%s", &log)
			}
			w.put("two")
			c.Gives("two")
		})
	})
	t.Run("not with a default", func(t *testing.T) {
		inBubble(t, promise, func(w *world) {
			var log logbook
			watch(w, w.text(log.option(), value.WithDefault("none")))
			w.pass(time.Hour)
			if log.String() != "" {
				w.broken("nothing is waited for, and the log says:\n%s", &log)
			}
		})
	})
}

func TestV1ValueGetReadsOnce(t *testing.T) {
	each(t, "Value.Get is one linearizable, decoded read without a watcher", func(w *world) {
		ctx := w.Context()
		v := w.text()
		if got, err := v.Get(ctx); !errors.Is(err, kv.ErrNotFound) {
			w.broken("of an absent key Value.Get returned %s", describe(got, err))
		}
		w.put("one")
		if got, err := v.Get(ctx); err != nil || got != "one" {
			w.broken("Value.Get returned %s, want one", describe(got, err))
		}
		w.delete()
		if got, err := w.text(value.WithDefault("none")).Get(ctx); err != nil || got != "none" {
			w.broken("of a deleted key with a default Value.Get returned %s", describe(got, err))
		}
		bad := w.put("x")
		_, err := value.New(w.Store, w.key, value.JSON[int]).Get(ctx)
		var decode *value.DecodeError
		if !errors.As(err, &decode) || decode.Revision != bad {
			w.broken("of a bad value Value.Get returned the error %v", err)
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
			w.broken("with an ended context Value.Get returned the error %v", err)
		}
	})
}
