package value_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// What a Get has returned, Status and Latest know by then, whatever takes its time between the two: a handler of the log, or the end of a
// watch.

// logHandler is a handler of a log that does something with each message.
type logHandler func(message string)

func (h logHandler) Enabled(context.Context, slog.Level) bool      { return true }
func (h logHandler) Handle(_ context.Context, r slog.Record) error { h(r.Message); return nil }
func (h logHandler) WithAttrs([]slog.Attr) slog.Handler            { return h }
func (h logHandler) WithGroup(string) slog.Handler                 { return h }

// onLog has do called for each message of the log that contains text.
func onLog(text string, do func()) value.Option {
	return value.WithLogger(slog.New(logHandler(func(message string) {
		if strings.Contains(message, text) {
			do()
		}
	})))
}

func TestV11StatusAndLatestIncludeEachUpdateThatAWatcherHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, key, "1")
		logged := make(chan struct{})
		v := value.New(store, key, value.JSON[int], onLog("does not decode", func() { <-logged }))
		w := v.Watch(value.EveryUpdate())
		defer w.Close()
		if got, err := w.Get(t.Context()); got != 1 || err != nil {
			t.Fatalf("Get = %d, %v, want 1", got, err)
		}
		synctest.Wait()
		rev := put(t, store, key, "bad")
		returned := func() bool {
			t.Helper()
			synctest.Wait()
			_, err := w.TryGet()
			if errors.Is(err, value.ErrNothingNew) {
				return false
			}
			if _, bad := errors.AsType[*value.DecodeError](err); !bad {
				t.Fatalf("TryGet: %v, want a DecodeError", err)
			}
			s := v.Status()
			if s.Revision != rev || s.Updates != 2 || s.BadValue != err {
				t.Errorf("promised: Status knows what a Get has returned: %v, the second update, at revision %d\nhappened: %+v", err, rev, s)
			}
			if r, ok := v.Latest(); !ok || r.Value != 1 || r.ModRevision != rev {
				t.Errorf("promised: Latest knows that revision %d is the newest, which a Get has returned\nhappened: %+v, %t", rev, r, ok)
			}
			return true
		}
		early := returned() // while the handler of the log takes its time
		close(logged)
		if late := returned(); !early && !late {
			t.Errorf("promised: the bad value is returned; it is not")
		}
	})
}

// slowWatches is a store whose watches end a second after their context.
type slowWatches struct{ kv.Store }

func (s slowWatches) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range s.Store.Watch(ctx, r, after) {
			if err != nil {
				time.Sleep(time.Second)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

func TestV11StatusHasTheErrorThatAGetHasReturned(t *testing.T) {
	for _, failure := range []error{kv.ErrPermission, kv.ErrClosed, kv.ErrTooLarge, kv.ErrUnsupported} {
		synctest.Test(t, func(t *testing.T) {
			store := fault.New(memory.New())
			put(t, store, key, "one")
			v := value.New(slowWatches{store}, key, value.String)
			w := v.Watch()
			defer w.Close()
			if got, err := w.Get(t.Context()); got != "one" || err != nil {
				t.Fatalf("Get = %q, %v, want one", got, err)
			}
			store.Fail(1, failure, fault.Gets) // the check of the silent watch
			got, err := w.Get(t.Context())
			if !errors.Is(err, failure) {
				t.Fatalf("Get = %q, %v, want %v", got, err, failure)
			}
			if s := v.Status(); s.Connected || !errors.Is(s.LastError, failure) {
				t.Errorf("promised: Status knows the error that a Get has returned: %v\nhappened: %+v", err, s)
			}
		})
	}
}

func TestV14LatestHasAValueWhileTheFirstAnswerReplacesTheLastKnown(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		b.runs(7)
		b.put("8")
		b.Cut()
		began := time.Now()
		var v *value.Value[int]
		asked := 0
		v = b.value(onLog("the store has answered", func() {
			asked++
			if r, ok := v.Latest(); !ok || r.Value != 8 || r.LastKnown || !r.Confirmed.Equal(began) {
				b.Errorf("promised: Latest has a good value once it had one, and says when it was confirmed: 8 at %v\nhappened: %+v, %t", began, r, ok)
			}
		}))
		w := v.Watch()
		defer w.Close()
		b.gives(w, 7)
		b.Heal() // the read that began with the watcher is answered
		b.gives(w, 8)
		if asked != 1 {
			b.Errorf("the log says %d times that the store has answered, want once", asked)
		}
	})
}

func TestABlockedLogHandlerDoesNotStopTheBubble(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		b.runs(7)
		b.Cut()
		handled := false
		w := b.value(onLog("using what was last known", func() {
			time.Sleep(time.Minute)
			handled = true
		})).Watch()
		defer w.Close()
		time.Sleep(lastAfter)
		synctest.Wait()
		b.put("8")
		b.Heal() // so that the store answers while the handler waits
		b.gives(w, 7)
		b.gives(w, 8)
		if !handled {
			b.Error("promised: the log has said that the last known value is used before it says that it is not; its handler has not returned")
		}
	})
}
