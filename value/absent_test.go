package value_test

import (
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV1GetWaitsForAnAbsentKey(t *testing.T) {
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

func TestV1TheDefaultIsReturnedAtOnce(t *testing.T) {
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

func TestV1TheDefaultIsReturnedOnlyAfterAReadFoundNoKey(t *testing.T) {
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

const waits = "waiting for it to be created"

func TestV1AnAbsentKeyIsLoggedOnce(t *testing.T) {
	const waits = "waiting for it to be created"
	const promise = "V1, the log says once, after a few seconds, that a watcher waits for an absent key"
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
				w.broken("a new watcher waits for a deleted key; the log says:\n%s", &log)
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
				w.broken("no watcher waits for a key, but the log says:\n%s", &log)
			}
		})
	})
}

func TestV1AKeyThatIsCreatedSoonIsNotLoggedAsAbsent(t *testing.T) {
	inBubble(t, "V1, given a logger, the log says once after a few seconds what a Get waits for", func(w *world) {
		var log logbook
		a := watch(w, w.text(log.option()))
		c := a.Begin()
		w.pass(4 * time.Second)
		w.put("one")
		c.Gives("one")
		w.pass(time.Minute)
		if log.count(waits) != 0 {
			w.broken("the key existed after four seconds, but the log says:\n%s", &log)
		}
	})
}

func TestV1AnAbsentKeyIsLoggedWhileTheWatchBegins(t *testing.T) {
	inBubble(t, "V1, given a logger, the log says once after a few seconds what a Get waits for", func(w *world) {
		var log logbook
		w.Hold(fault.Watches)
		watch(w, w.text(log.option())).Begin()
		w.pass(8 * time.Second)
		if log.count(waits) != 1 {
			w.broken("the key has been absent for eight seconds, but the log says:\n%s", &log)
		}
	})
}
