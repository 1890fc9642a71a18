package value_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV2LaterGetsWaitForWhatIsNewer(t *testing.T) {
	each(t, "V2, each later Get waits until there is something newer than what the watcher returned last", func(w *world) {
		a := w.watchFrom("one", w.text())
		a.HasNothing()
		w.putOther()
		a.HasNothing()
		c := a.Begin()
		c.Waits()
		w.put("two")
		c.Gives("two")
		a.HasNothing()
		w.put("two") // the same bytes at another revision
		a.Gives("two")
		w.put("")
		a.Gives("")
	})
}

func TestV3ASlowReaderSkipsToTheNewest(t *testing.T) {
	each(t, v3, func(w *world) {
		w.put("initial")
		v := w.text()
		a, b := watch(w, v), watch(w, v)
		a.Gives("initial")
		b.Gives("initial")
		w.Streaming(1)
		var last kv.Revision
		for i := range 1000 {
			last = w.put(strconv.Itoa(i))
		}
		a.Gives("999", value.AtLeast[string](last))
		w.Settle()
		b.Gives("999")
		if b.Revision() != last {
			w.broken("Revision is %d, want %d", b.Revision(), last)
		}
		a.HasNothing()
		b.HasNothing()
	})
}

func TestV3TheNewestAlwaysArrives(t *testing.T) {
	for name, break_ := range map[string]func(w *world){
		"stream ended":       func(w *world) { w.EndStreams(kv.ErrUnavailable) },
		"stream just closed": func(w *world) { w.EndStreams(nil) },
		"compacted":          func(w *world) { w.EndStreams(&kv.CompactedError{}) },
		"watch refused":      func(w *world) { w.Fail(3, kv.ErrPermission, fault.Watches); w.EndStreams(kv.ErrPermission) },
		"no leader":          func(w *world) { w.Fail(3, kv.ErrUnavailable, fault.Reads); w.EndStreams(kv.ErrUnavailable) },
		"cut": func(w *world) {
			w.Cut()
			w.put("during the cut")
			w.Heal()
		},
		"frozen": func(w *world) {
			w.Freeze()
			w.put("during the frost")
			w.Heal()
		},
		"cut and compacted": func(w *world) {
			w.Cut()
			w.put("during the cut")
			w.compact()
			w.Heal()
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, "V3, V11: after any fault the newest value arrives, and so does the next", func(w *world) {
				a := w.watchFrom("one", w.text())
				w.Streaming(1)
				break_(w)
				rev := w.put("two")
				a.Gives("two", value.AtLeast[string](rev))
				rev = w.put("three")
				a.Gives("three", value.AtLeast[string](rev))
			})
		})
	}
}

func TestV3ASlowReaderGetsTheCurrentValue(t *testing.T) {
	inBubble(t, v3, func(w *world) {
		a := watch(w, w.text())
		go func() {
			for i := range 1000 {
				w.put(strconv.Itoa(i))
				time.Sleep(time.Second)
			}
		}()
		for i := 10; i < 1000; i += 10 {
			w.pass(10 * time.Second)
			got, err := a.Next()
			n, _ := strconv.Atoi(got)
			if err != nil || n < i {
				w.broken("after the put of %d, Get returned %s", i, describe(got, err))
			}
		}
		w.pass(time.Minute)
	})
}
