package value_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

func TestUpdateReturnsTheErrorOfChange(t *testing.T) {
	each(t, "if change returns an error, nothing is written, and the error is returned as it is", func(w *world) {
		at := w.put("7")
		refusal := errors.New("not today")
		if _, err := update(w, func(int, bool) (int, error) { return 8, refusal }); err != refusal {
			w.broken("the error is %v, want %v", err, refusal)
		}
		w.wantStored("7", at)
	})
}

func TestUpdateDoesNotReplaceABadValue(t *testing.T) {
	each(t, "a value that does not decode is a *DecodeError, and change is not called", func(w *world) {
		at := w.put("seven")
		calls := 0
		_, err := update(w, add(1, &calls))
		var bad *value.DecodeError
		if !errors.As(err, &bad) || bad.Key != w.key || bad.Revision != at || calls != 0 {
			w.broken("the error is %v after %d calls of change, want a *DecodeError of revision %d and no call", err, calls, at)
		}
		w.wantStored("seven", at)
		next, err := w.Put(w.Context(), w.key, []byte("8"), kv.IfRevision(bad.Revision))
		w.must(err)
		w.wantStored("8", next)
	})
}

func TestUpdateOfADecoderThatPanicsIsADecodeError(t *testing.T) {
	inBubble(t, "a decoder that panics counts as one that fails", func(w *world) {
		w.put("7")
		codec := value.JSONCodec[int]()
		codec.Decode = func([]byte) (int, error) { panic("no") }
		_, err := value.Update(w.Context(), w.Store, w.key, codec, func(int, bool) (int, error) { return 0, nil })
		var bad *value.DecodeError
		if !errors.As(err, &bad) || bad.Stack == nil {
			w.broken("the error is %v, want a *DecodeError with a stack", err)
		}
	})
}

func TestUpdateReturnsTheErrorOfTheEncoder(t *testing.T) {
	inBubble(t, "a value that does not encode is an error, and nothing is written", func(w *world) {
		at := w.put("7")
		no := errors.New("no")
		codec := value.JSONCodec[int]()
		codec.Encode = func(int) ([]byte, error) { return nil, no }
		_, err := value.Update(w.Context(), w.Store, w.key, codec, func(int, bool) (int, error) { return 8, nil })
		w.wantErr(err, no)
		_, err = value.Create(w.Context(), w.Store, w.key, codec, 8)
		w.wantErr(err, no)
		w.wantStored("7", at)
	})
}

func TestUpdateReturnsPermanentErrors(t *testing.T) {
	for _, refusal := range []error{kv.ErrPermission, kv.ErrTooLarge, kv.ErrUnsupported} {
		for _, op := range []fault.Ops{fault.Gets, fault.Puts} {
			t.Run(fmt.Sprint(refusal, op), func(t *testing.T) {
				inBubble(t, "a refusal is returned at once, and nothing was written", func(w *world) {
					at := w.put("7")
					w.Fail(-1, refusal, op)
					calls := 0
					_, err := update(w, add(1, &calls))
					w.wantErr(err, refusal)
					w.wantStored("7", at)
					if c := w.Counts(); c.Gets > 1 || c.Puts > 1 {
						w.broken("it was tried again: %+v", c)
					}
				})
			})
		}
	}
	each(t, "a value that is larger than the store accepts is refused", func(w *world) {
		at := w.put("7")
		_, err := value.Update(w.Context(), w.Store, w.key, value.StringCodec(), func(string, bool) (string, error) {
			return strings.Repeat("x", 2<<20), nil
		})
		w.wantErr(err, kv.ErrTooLarge)
		w.wantStored("7", at)
	})
}

func TestUpdateWaitsForAStoreThatIsUnavailable(t *testing.T) {
	each(t, "an outage is not an error: Update waits for its end", func(w *world) {
		w.put("7")
		w.Fail(3, kv.ErrUnavailable, fault.Gets)
		w.Fail(2, kv.ErrUnavailable, fault.Puts)
		calls := 0
		r, err := update(w, add(1, &calls))
		if err != nil || r.Value != 8 {
			w.broken("Update returned %d and the error %v, want 8", r.Value, err)
		}
		if calls != 1 {
			w.broken("change was called %d times, want once, because the key has not changed", calls)
		}
		w.wantStored("8", r.Revision)
	})
}

func TestUpdateEndsWithItsContext(t *testing.T) {
	t.Run("before it begins", func(t *testing.T) {
		each(t, "the error of the context is returned, and nothing was written", func(w *world) {
			ctx, cancel := context.WithCancel(w.Context())
			cancel()
			_, err := value.Update(ctx, w.Store, w.key, value.JSONCodec[int](), func(int, bool) (int, error) { return 1, nil })
			w.wantErr(err, context.Canceled)
			w.wantStored("", 0)
		})
	})
	t.Run("in change", func(t *testing.T) {
		each(t, "the error of the context is returned, and nothing was written", func(w *world) {
			ctx, cancel := context.WithCancel(w.Context())
			_, err := value.Update(ctx, w.Store, w.key, value.JSONCodec[int](), func(int, bool) (int, error) {
				cancel()
				return 1, nil
			})
			w.wantErr(err, context.Canceled)
			w.wantStored("", 0)
		})
	})
	t.Run("in an outage", func(t *testing.T) {
		inBubble(t, "the error of the context is returned, with the last error of the store", func(w *world) {
			w.Fail(-1, kv.ErrUnavailable, fault.Gets)
			ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
			defer cancel()
			_, err := value.Update(ctx, w.Store, w.key, value.JSONCodec[int](), func(int, bool) (int, error) { return 1, nil })
			w.wantErr(err, context.DeadlineExceeded)
			if errors.Is(err, kv.ErrUnavailable) || !strings.Contains(err.Error(), "unavailable") {
				w.broken("the error %q does not say why, or matches more than the context's error", err)
			}
			if n := w.Counts().Gets; n < 8 || n > 30 {
				w.broken("%d reads were made in a minute of outage", n)
			}
		})
	})
	t.Run("between conflicts", func(t *testing.T) {
		inBubble(t, "the error of the context is returned, and nothing was written", func(w *world) {
			at := w.put("7")
			w.Fail(-1, kv.ErrConflict, fault.Puts)
			ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
			defer cancel()
			_, err := value.Update(ctx, w.Store, w.key, value.JSONCodec[int](), func(int, bool) (int, error) { return 1, nil })
			w.wantErr(err, context.DeadlineExceeded)
			w.wantStored("7", at)
			if n := w.Counts().Puts; n < 120 || n > 1000 {
				w.broken("%d writes were tried in a minute of conflicts", n)
			}
		})
	})
	t.Run("in a write", func(t *testing.T) {
		for name, answered := range map[string][]fault.Match{"that is on its way": {fault.Puts}, "that has happened": {fault.Puts, fault.Answered}} {
			t.Run(name, func(t *testing.T) {
				each(t, "a write that the end of the context interrupts may have happened", func(w *world) {
					at := w.put("7")
					h := w.Hold(answered...)
					ctx, cancel := context.WithCancel(w.Context())
					done := make(chan error)
					go func() {
						_, err := value.Update(ctx, w.Store, w.key, value.JSONCodec[int](), func(int, bool) (int, error) { return 8, nil })
						done <- err
					}()
					w.Held(h)
					cancel()
					err := <-done
					w.wantErr(err, value.ErrOutcomeUnknown, context.Canceled)
					if len(answered) > 1 {
						w.wantStored("8", at+1)
					} else {
						w.wantStored("7", at)
					}
				})
			})
		}
	})
}

func TestInvalidArgumentsOfUpdateAreReported(t *testing.T) {
	ctx, store, codec := t.Context(), memory.New(), value.JSONCodec[int]()
	change := func(int, bool) (int, error) { return 1, nil }
	check := func(int) error { return nil }
	do := func(_ any, err error) error { return err }
	for _, c := range []struct {
		says string
		err  error
	}{
		{"nil store", do(value.Update(ctx, nil, "/a", codec, change))},
		{"nil store", do(value.Create(ctx, nil, "/a", codec, 1))},
		{"nil store", do(value.Delete(ctx, nil, "/a", codec, nil))},
		{"empty key", do(value.Update(ctx, store, "", codec, change))},
		{"empty key", do(value.Create(ctx, store, "", codec, 1))},
		{"empty key", do(value.Delete(ctx, store, "", codec, nil))},
		{"nil change", do(value.Update(ctx, store, "/a", codec, nil))},
		{"codec", do(value.Update(ctx, store, "/a", value.Codec[int]{Encode: codec.Encode}, change))},
		{"codec", do(value.Update(ctx, store, "/a", value.Codec[int]{Decode: codec.Decode}, change))},
		{"codec", do(value.Create(ctx, store, "/a", value.Codec[int]{Decode: codec.Decode}, 1))},
		{"codec", do(value.Delete(ctx, store, "/a", value.Codec[int]{Encode: codec.Encode}, check))},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.says) || !strings.HasPrefix(c.err.Error(), "value: ") {
			t.Errorf("the error is %v, want one that says %q", c.err, c.says)
		}
	}
}
