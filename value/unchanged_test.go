package value_test

import (
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV13UnchangedIsNotNews(t *testing.T) {
	for mode, opts := range modes {
		for name, happens := range map[string]func(w *world){
			"reconnected": func(w *world) { w.EndStreams(kv.ErrUnavailable) },
			"reset": func(w *world) {
				n := w.Counts().Watches
				w.EndStreams(kv.ErrReset)
				// Otherwise the next put could be the first thing that the Value sees of the new history, and that is a gap.
				w.Until("a new watch", func(c fault.Counts) bool { return c.Watches > n })
			},
			"compacted":       func(w *world) { w.EndStreams(&kv.CompactedError{}) },
			"refused":         func(w *world) { w.Fail(2, kv.ErrPermission, fault.Watches); w.EndStreams(kv.ErrPermission) },
			"cut, compacted":  func(w *world) { w.Cut(); w.compact(); w.Heal() },
			"read once more":  func(w *world) { watch(w, w.text()) },
			"other keys":      func(w *world) { w.putOther() },
			"opened again":    func(w *world) { w.Fail(1, kv.ErrUnavailable); w.EndStreams(nil) },
			"failed for long": func(w *world) { w.Fail(5, kv.ErrUnavailable, fault.Reads); w.EndStreams(kv.ErrUnavailable) },
		} {
			t.Run(mode+"/"+name, func(t *testing.T) {
				each(t, v13, func(w *world) {
					v := w.text()
					a := w.watchFrom("one", v, opts...)
					w.Streaming(1)
					happens(w)
					if w.InBubble() {
						w.pass(5 * time.Minute)
					}
					a.HasNothing()
					w.put("two")
					a.Gives("two")
				})
			})
		}
	}
}

func TestV13ABookmarkIsNotNews(t *testing.T) {
	eachMode(t, inBubble, "V13: a bookmark is not returned, but Status shows it", func(w *world, opts ...value.WatchOption) {
		v := w.text()
		a := w.watchFrom("one", v, opts...)
		w.Streaming(1)
		for range 3 {
			c := a.Begin()
			rev := w.putOther()
			w.must(w.backend.(*memoryBackend).RequestProgress(w.Context()))
			c.Waits()
			if s := v.Status(); s.Revision != rev {
				w.broken("after a bookmark at %d Status is %+v", rev, s)
			}
			c.Cancel()
		}
		w.put("two")
		a.Gives("two")
		w.delete()
		a.Fails(value.ErrDeleted)
		w.putOther()
		w.must(w.backend.(*memoryBackend).RequestProgress(w.Context()))
		a.HasNothing()
	})
}
