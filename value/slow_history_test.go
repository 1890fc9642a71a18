package value_test

import (
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// At twenty kilobytes a second, a batch of a megabyte takes most of a minute.
func TestV4HistoryOverASlowLinkIsRead(t *testing.T) {
	for _, d := range []time.Duration{4 * time.Second, 12 * time.Second, 52 * time.Second, 5 * time.Minute} {
		t.Run(d.String(), func(t *testing.T) {
			inBubble(t, "V4, each update once, in order: no constant limits how long the store may take to deliver them", func(w *world) {
				watcher, _ := behind(w, func(r historyRead) {
					select {
					case <-time.After(d):
						r.watch(r.yield)
					case <-r.ctx.Done():
						r.yield(kv.Batch{}, r.ctx.Err())
					}
				})
				watcher.GivesEach("2", "3", "4", "5")
			})
		})
	}
}

func TestV11ErrClosedFromAReadOfHistoryIsConfirmedByARead(t *testing.T) {
	inBubble(t, "V11, a closed store is an error once a read has confirmed it", func(w *world) {
		watcher, _ := behind(w, func(r historyRead) {
			if r.n == 1 {
				r.yield(kv.Batch{}, &kv.OpError{Store: "historian", Op: "watch", Reason: kv.ErrClosed})
				return
			}
			r.watch(r.yield)
		})
		watcher.GivesEach("2", "3", "4", "5")
	})
}

func TestV11AClosedStoreIsReturnedWhileHistoryIsRead(t *testing.T) {
	inBubble(t, "V11, a closed store is an error", func(w *world) {
		watcher, _ := behind(w, func(r historyRead) {
			r.yield(kv.Batch{}, &kv.OpError{Store: "historian", Op: "watch", Reason: kv.ErrClosed})
		})
		w.must(w.backend.(*memoryBackend).Close())
		for {
			if _, err := watcher.Next(); err != nil {
				if !value.IsFinal(err) {
					w.broken("Get returned %v, want ErrClosed of the store", err)
				}
				return
			}
		}
	})
}
