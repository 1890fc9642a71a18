package value_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// narrow is a store whose client accepts values of a few bytes.
type narrow struct{ kv.Store }

const accepted = 8

var tooLarge = strings.Repeat("x", accepted+1)

func errTooLarge(op string) error {
	return &kv.OpError{Store: "narrow", Op: op, Reason: kv.ErrTooLarge, Cause: fmt.Errorf("more than %d bytes", accepted)}
}

func (s *narrow) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.Store.Get(ctx, r)
	for _, e := range snapshot.Entries {
		if len(e.Value) > accepted {
			return kv.Snapshot{}, errTooLarge("get")
		}
	}
	return snapshot, err
}

func (s *narrow) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range s.Store.Watch(ctx, r, after) {
			for i, ev := range b.Events {
				if len(ev.Value) > accepted {
					if i > 0 && !yield(kv.Batch{Revision: b.Events[i-1].ModRevision, Events: b.Events[:i]}, nil) {
						return
					}
					yield(kv.Batch{}, errTooLarge("watch"))
					return
				}
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// narrowStater can also read without the values.
type narrowStater struct{ narrow }

func (s *narrowStater) Itself() kv.Store { return s }

func (s *narrowStater) Stat(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	return kv.Stat(ctx, s.Store, r)
}

func wantTooLarge(w *world, from *valuetest.Watcher[string], at kv.Revision) {
	w.Helper()
	got, err := from.Next()
	var bad *value.DecodeError
	if !errors.As(err, &bad) || bad.Revision != at || bad.Key != w.key || !errors.Is(err, kv.ErrTooLarge) || value.IsFinal(err) {
		w.broken("Get returned %s, want a *DecodeError of revision %d that matches kv.ErrTooLarge", describe(got, err), at)
	}
}

func TestV7AValueThatIsTooLargeIsABadValue(t *testing.T) {
	inBubble(t, v7tooLarge, func(w *world) {
		var log logbook
		v := value.New(&narrowStater{narrow{w.Store}}, w.key, value.String, log.option())
		w.put("one")
		a := watch(w, v)
		a.Gives("one")
		w.Settle()

		began := time.Now()
		large := w.put(tooLarge)
		wantTooLarge(w, a, large)
		w.Settle()
		if s := v.Status(); !errors.Is(s.BadValue, kv.ErrTooLarge) || !errors.Is(s.LastError, kv.ErrTooLarge) || !s.Connected {
			w.broken("Status is %+v", s)
		}
		if latest, ok := v.Latest(); !ok || latest.Value != "one" {
			w.broken("Latest is %+v, %v, want the last good value", latest, ok)
		}
		if log.count("cannot be reached") > 0 || log.count("larger than the store's client accepts") != 1 || log.count("the newest value") != 1 {
			w.broken("the log says:\n%s", &log)
		}
		w.put("two")
		a.Gives("two")
		if d := time.Since(began); d > time.Second {
			w.broken("the next value was returned after %v", d)
		}
		watch(w, v).Gives("two")
	})
}

func TestV7AValueThatIsTooLargeFromTheBeginning(t *testing.T) {
	inBubble(t, v7tooLarge, func(w *world) {
		var log logbook
		v := value.New(&narrowStater{narrow{w.Store}}, w.key, value.String, log.option())
		large := w.put(tooLarge)
		a := watch(w, v)
		wantTooLarge(w, a, large)
		a.HasNothing()
		before := w.Counts().Gets
		w.pass(time.Hour) // with checks of the silent watch
		if s := v.Status(); !s.Connected || s.Resets+s.Holes > 0 || s.BadValue == nil {
			w.broken("after an hour Status is %+v", s)
		}
		if n := w.Counts().Gets - before; n > 130 {
			w.broken("an idle hour took %d reads, want one a minute", n)
		}
		a.HasNothing()
		w.delete()
		a.Fails(value.ErrDeleted)
	})
}

func TestV4AnUpdateThatIsTooLargeIsReturnedAsABadValue(t *testing.T) {
	inBubble(t, v4tooLarge, func(w *world) {
		v := value.New(&narrowStater{narrow{w.Store}}, w.key, value.String)
		w.put("one")
		a := watch(w, v, value.EveryUpdate())
		a.Gives("one")
		w.Settle()
		large := w.put(tooLarge)
		w.Settle()
		w.put("two")
		w.Settle()
		w.put("three")
		wantTooLarge(w, a, large) // its version shows that no other update was in between
		a.Gives("two")
		a.Gives("three")
	})
}

func TestV4AnUpdateThatIsTooLargeInHistoryIsAGap(t *testing.T) {
	inBubble(t, v4tooLarge, func(w *world) {
		v := value.New(&narrowStater{narrow{w.Store}}, w.key, value.String, value.WithBacklog(1))
		w.put("one")
		a := watch(w, v, value.EveryUpdate())
		a.Gives("one")
		w.Settle()
		seen := w.put("two")
		w.Settle()
		w.put(tooLarge)
		w.Settle()
		w.put("three")
		w.Settle()
		last := w.put("four")
		w.Settle()
		a.Gives("two")
		a.HasGap(seen, last, kv.ErrTooLarge)
		a.Gives("four")
		w.put("five")
		a.Gives("five")
	})
}

// Two such updates may come while there is no watch.
func TestV4SeveralUpdatesThatAreTooLargeAreAGap(t *testing.T) {
	inBubble(t, v4tooLarge, func(w *world) {
		v := value.New(&narrowStater{narrow{w.Store}}, w.key, value.String)
		seen := w.put("one")
		a := watch(w, v, value.EveryUpdate())
		a.Gives("one")
		w.Settle()
		w.Cut()
		w.put(tooLarge)
		w.put(tooLarge)
		last := w.put("two")
		w.Heal()
		w.pass(time.Minute)
		a.HasGap(seen, last, kv.ErrTooLarge)
		a.Gives("two")
		w.put("three")
		a.Gives("three")
	})
}

// A store that cannot read without the values cannot skip a value that is too large.
func TestV11ErrTooLargeIsReturnedIfTheStoreCannotSkipTheValue(t *testing.T) {
	inBubble(t, v7tooLarge, func(w *world) {
		var log logbook
		v := value.New(&narrow{w.Store}, w.key, value.String, log.option())
		w.put("one")
		a := watch(w, v)
		a.Gives("one")
		w.Settle()
		w.put(tooLarge)
		a.Fails(kv.ErrTooLarge)
		w.pass(time.Minute)
		if err := v.Status().LastError; !errors.Is(err, kv.ErrTooLarge) {
			w.broken("Status says %v", err)
		}
		if log.count("cannot be reached") > 0 || log.count("what the store answers is larger than its client accepts") != 1 {
			w.broken("the log says:\n%s", &log)
		}
		w.put("two")
		w.pass(time.Minute) // otherwise the next Get may return the error of the last attempt
		a.Gives("two")
	})
}
