package value_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// statusReader keeps what StatusChanges has yielded.
type statusReader struct {
	t    *testing.T
	mu   sync.Mutex
	seen []value.Status
}

// want checks the newest Status that was yielded with ok. If news is true, something new must have been yielded, otherwise nothing.
func (r *statusReader) want(what string, news bool, ok func(s value.Status) bool) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch n := len(r.seen); {
	case n == 0:
		if news {
			r.t.Fatalf("%s: StatusChanges has yielded nothing", what)
		}
	case !news:
		r.t.Fatalf("%s: StatusChanges has yielded %+v, want nothing", what, r.seen)
	case !ok(r.seen[n-1]):
		r.t.Fatalf("%s: the last of %d Statuses is %+v", what, n, r.seen[n-1])
	}
	r.seen = nil
}

func TestStatusChangesYieldsTheCurrentStatusAndThenEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, back := t.Context(), memory.New()
		put := func(v string) {
			t.Helper()
			if _, err := back.Put(ctx, "/a", []byte(v)); err != nil {
				t.Fatal(err)
			}
		}
		put("one")
		store := fault.New(back)
		v := value.New(store, "/a", strict, value.WithMaxStaleness(time.Minute))
		r := &statusReader{t: t}
		watching, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for s := range v.StatusChanges(watching) {
				r.mu.Lock()
				r.seen = append(r.seen, s)
				r.mu.Unlock()
			}
		}()
		r.want("at first", true, func(s value.Status) bool { return !s.Connected && s.Watchers == 0 && !s.Stale })
		w := v.Watch()
		r.want("connected", true, func(s value.Status) bool {
			return s.Connected && s.Watchers == 1 && s.Updates == 1 && s.Reconnections == 0
		})
		put("two")
		put("three")
		r.want("updates are no change of the Status", false, nil)
		if s := v.Status(); s.Updates < 2 {
			t.Errorf("Updates = %d after three puts", s.Updates)
		}
		put("bad")
		r.want("a bad newest value", true, func(s value.Status) bool { return s.BadValue != nil && s.DecodeErrors == 1 })
		put("four")
		r.want("a good value again", true, func(s value.Status) bool { return s.BadValue == nil && s.DecodeErrors == 1 })

		store.Cut()
		store.EndStreams(kv.ErrUnavailable)
		r.want("lost", true, func(s value.Status) bool {
			return !s.Connected && errors.Is(s.LastError, kv.ErrUnavailable) && !s.Stale
		})
		time.Sleep(2 * time.Minute)
		r.want("stale", true, func(s value.Status) bool { return s.Stale })
		store.Heal()
		time.Sleep(time.Minute)
		r.want("fresh again", true, func(s value.Status) bool { return s.Connected && !s.Stale && s.Reconnections == 1 })

		backup := back.Backup()
		put("five")
		if err := back.Restore(backup); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.want("reset", true, func(s value.Status) bool { return s.Connected && s.Resets == 1 && s.Resyncs == 1 })
		refused := store.Fail(-1, kv.ErrPermission)
		store.EndStreams(kv.ErrPermission)
		r.want("refused", true, func(s value.Status) bool { return !s.Connected && errors.Is(s.LastError, kv.ErrPermission) })
		refused.Remove()
		time.Sleep(time.Minute)
		r.want("allowed again", true, func(s value.Status) bool { return s.Connected })
		w.Close()
		r.want("closed", true, func(s value.Status) bool { return !s.Connected && s.Watchers == 0 && !s.Stale })
		stop()
		<-ended
	})
}

func TestStatusChangesSkipsToTheNewestWhileItsReaderIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, store := t.Context(), memory.New()
		v := value.New(store, "/a", strict)
		w := v.Watch()
		defer w.Close()
		synctest.Wait()
		n := 0
		for s := range v.StatusChanges(ctx) {
			if n++; n == 1 {
				for range 100 {
					store.Put(ctx, "/a", []byte("bad"))
					synctest.Wait()
				}
				continue
			}
			if s.DecodeErrors != 100 {
				t.Errorf("the second Status is of %d bad values, want the newest, of 100", s.DecodeErrors)
			}
			break
		}
	})
}
