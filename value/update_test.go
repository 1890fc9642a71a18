package value_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// add returns a change that adds n, and counts its calls.
func add(n int, calls *int) func(int, bool) (int, error) {
	return func(old int, exists bool) (int, error) {
		if *calls++; !exists && old != 0 {
			return 0, fmt.Errorf("the key is absent and old is %d", old)
		}
		return old + n, nil
	}
}

func update(w *world, change func(int, bool) (int, error), opts ...value.UpdateOption) (value.Reading[int], error) {
	ctx, cancel := context.WithTimeout(w.Context(), w.patient)
	defer cancel()
	return value.Update(ctx, w.Store, w.key, value.JSONCodec[int](), change, opts...)
}

// wantUpdated checks what an Update has returned, and what the key holds.
func (w *world) wantUpdated(r value.Reading[int], err error, want int, at kv.Revision) {
	w.Helper()
	if err != nil || r.Value != want || r.Revision != at {
		w.broken("Update returned %d of revision %d and the error %v, want %d of revision %d", r.Value, r.Revision, err, want, at)
	}
	w.wantStored(fmt.Sprint(want), at)
}

// wantStored checks what the key holds; a revision of zero means that it is absent.
func (w *world) wantStored(want string, at kv.Revision) {
	w.Helper()
	got, err := w.backend.Get(w.Context(), kv.Key(w.key))
	w.must(err)
	switch {
	case len(got.Entries) == 0 && at != 0:
		w.broken("the key is absent, want %q of revision %d", want, at)
	case len(got.Entries) != 0 && (string(got.Entries[0].Value) != want || got.Entries[0].ModRevision != at):
		w.broken("the key holds %q of revision %d, want %q of revision %d", got.Entries[0].Value, got.Entries[0].ModRevision, want, at)
	}
}

func (w *world) wantErr(err error, want ...error) {
	w.Helper()
	for _, want := range want {
		if !errors.Is(err, want) {
			w.broken("the error is %q, want one that matches %q", err, want)
		}
	}
	if errors.Is(err, value.ErrOutcomeUnknown) != errors.Is(errors.Join(want...), value.ErrOutcomeUnknown) {
		w.broken("whether the outcome is unknown is not what was expected: %q", err)
	}
}

func TestUpdateMakesTheKeyAndThenChangesIt(t *testing.T) {
	each(t, "Update writes what change returns, and returns it with its revision", func(w *world) {
		calls := 0
		before := w.putOther()
		r, err := update(w, add(1, &calls))
		w.wantUpdated(r, err, 1, before+1)
		r, err = update(w, add(1, &calls))
		w.wantUpdated(r, err, 2, before+2)
		if calls != 2 {
			w.broken("change was called %d times for two updates", calls)
		}
		if r.Confirmed.IsZero() || r.Age() < 0 {
			w.broken("the reading was confirmed at %v", r.Confirmed)
		}
	})
}

func TestUpdateIsReadByAtLeast(t *testing.T) {
	each(t, "the revision of an Update is one for AtLeast", func(w *world) {
		watcher := watch(w, value.New(w.Store, w.key, value.JSON[int]))
		r, err := update(w, func(int, bool) (int, error) { return 7, nil })
		w.must(err)
		wantValue(w, watcher, 7, value.AtLeast[int](r.Revision))
	})
}

func TestUpdateWritesNothingWhereNothingChanges(t *testing.T) {
	each(t, "if change returns a value that encodes as old does, nothing is written", func(w *world) {
		at := w.put(" 7\n") // not as the codec would write it
		calls := 0
		r, err := update(w, add(0, &calls))
		if err != nil || r.Value != 7 || r.Revision != at {
			w.broken("Update returned %d of revision %d and the error %v, want 7 of revision %d", r.Value, r.Revision, err, at)
		}
		w.wantStored(" 7\n", at)
		if n := w.Counts().Puts; n != 0 {
			w.broken("%d writes were made", n)
		}
	})
}

func TestUpdateStartsAgainWhenTheKeyHasChanged(t *testing.T) {
	for _, c := range []struct {
		name   string
		before string // of the key
		other  func(w *world)
		want   int
	}{
		{"put", "10", func(w *world) { w.put("20") }, 21},
		{"put of the same value", "10", func(w *world) { w.put("10") }, 11},
		{"put of the value that Update writes", "10", func(w *world) { w.put("11") }, 12},
		{"deletion", "10", func(w *world) { w.delete() }, 1},
		{"deletion and creation", "10", func(w *world) { w.delete(); w.put("30") }, 31},
		{"creation", "", func(w *world) { w.put("40") }, 41},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, "no change of another writer is overwritten: change is called again with the new value", func(w *world) {
				if c.before != "" {
					w.put(c.before)
				}
				h := w.Hold(fault.Puts)
				calls := 0
				var r value.Reading[int]
				var err error
				done := make(chan struct{})
				go func() {
					defer close(done)
					r, err = update(w, add(1, &calls))
				}()
				w.held(h)
				c.other(w)
				last := w.putOther()
				h.Release()
				<-done
				w.wantUpdated(r, err, c.want, last+1)
				if calls != 2 {
					w.broken("change was called %d times, want two", calls)
				}
			})
		})
	}
}

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

func TestUpdateLeavesABadValueAlone(t *testing.T) {
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

func TestChangeMayChangeOldItself(t *testing.T) {
	inBubble(t, "a change of the old value in place is written", func(w *world) {
		w.put("abc")
		r, err := value.Update(w.Context(), w.Store, w.key, value.BytesCodec(), func(old []byte, _ bool) ([]byte, error) {
			old[0] = 'x'
			return old, nil
		})
		w.must(err)
		w.wantStored("xbc", r.Revision)

		w.put(`{"a":1}`)
		m, err := value.Update(w.Context(), w.Store, w.key, value.JSONCodec[map[string]int](), func(old map[string]int, _ bool) (map[string]int, error) {
			old["b"] = 2
			return old, nil
		})
		w.must(err)
		w.wantStored(`{"a":1,"b":2}`, m.Revision)
	})
}

func TestUpdateReturnsWhatWaitingDoesNotCure(t *testing.T) {
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
			w.broken("change was called %d times, want once, as the key has not changed", calls)
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
		inBubble(t, "the error of the context is returned, with what the store said last", func(w *world) {
			w.Fail(-1, kv.ErrUnavailable, fault.Gets)
			ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
			defer cancel()
			_, err := value.Update(ctx, w.Store, w.key, value.JSONCodec[int](), func(int, bool) (int, error) { return 1, nil })
			w.wantErr(err, context.DeadlineExceeded)
			if errors.Is(err, kv.ErrUnavailable) || !strings.Contains(err.Error(), "unavailable") {
				w.broken("the error %q does not tell why, or matches more than the context's", err)
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
				each(t, "a write that the context has cut off may have happened", func(w *world) {
					at := w.put("7")
					h := w.Hold(answered...)
					ctx, cancel := context.WithCancel(w.Context())
					done := make(chan error)
					go func() {
						_, err := value.Update(ctx, w.Store, w.key, value.JSONCodec[int](), func(int, bool) (int, error) { return 8, nil })
						done <- err
					}()
					w.held(h)
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

func TestCreateMakesAKeyOnce(t *testing.T) {
	each(t, "Create puts an absent key, and refuses one that exists, whatever its value", func(w *world) {
		codec := value.JSONCodec[int]()
		r, err := value.Create(w.Context(), w.Store, w.key, codec, 7)
		w.wantUpdated(r, err, 7, r.Revision)
		_, err = value.Create(w.Context(), w.Store, w.key, codec, 7)
		w.wantErr(err, kv.ErrConflict)
		bad := w.put("bad")
		_, err = value.Create(w.Context(), w.Store, w.key, codec, 7)
		w.wantErr(err, kv.ErrConflict)
		w.wantStored("bad", bad)

		w.delete()
		h := w.Hold(fault.Puts)
		done := make(chan error)
		go func() {
			_, err := value.Create(w.Context(), w.Store, w.key, codec, 8)
			done <- err
		}()
		w.held(h)
		at := w.put("9")
		h.Release()
		w.wantErr(<-done, kv.ErrConflict)
		w.wantStored("9", at)
	})
}

func TestDeleteDeletesWhatCheckHasSeen(t *testing.T) {
	each(t, "Delete deletes the very value that check has agreed to", func(w *world) {
		codec := value.JSONCodec[int]()
		_, err := value.Delete(w.Context(), w.Store, w.key, codec, nil)
		w.wantErr(err, kv.ErrNotFound)

		at := w.put("7")
		refusal := errors.New("not today")
		if _, err := value.Delete(w.Context(), w.Store, w.key, codec, func(int) error { return refusal }); err != refusal {
			w.broken("the error is %v, want %v", err, refusal)
		}
		w.wantStored("7", at)

		h := w.Hold(fault.Deletes)
		var seen []int
		done := make(chan error)
		go func() {
			_, err := value.Delete(w.Context(), w.Store, w.key, codec, func(old int) error {
				if seen = append(seen, old); old > 7 {
					return refusal
				}
				return nil
			})
			done <- err
		}()
		w.held(h)
		at = w.put("8")
		h.Release()
		if err := <-done; err != refusal || fmt.Sprint(seen) != "[7 8]" {
			w.broken("check has seen %v, and Delete has returned %v", seen, err)
		}
		w.wantStored("8", at)

		w.put("bad")
		if _, err := value.Delete(w.Context(), w.Store, w.key, codec, func(int) error { return nil }); err == nil {
			w.broken("a value that does not decode was deleted although check has not seen it")
		}
		last := w.putOther()
		rev, err := value.Delete(w.Context(), w.Store, w.key, codec, nil)
		if err != nil || rev != last+1 {
			w.broken("Delete returned %d, %v, want %d", rev, err, last+1)
		}
		w.wantStored("", 0)
	})
}

func TestWhatIsWrongWithAnUpdateIsSaid(t *testing.T) {
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

func TestCodecsDecodeWhatTheyEncode(t *testing.T) {
	wantRoundTrip(t, value.JSONCodec[Limits](), Limits{RPS: 7}, `{"RPS":7}`)
	wantRoundTrip(t, value.TextCodec[netip.Addr](), netip.MustParseAddr("::1"), "::1")
	wantRoundTrip(t, value.StringCodec(), "a\xff\x00", "a\xff\x00")
	b := value.BytesCodec()
	encoded, _ := b.Encode([]byte("a\xff"))
	if got, err := b.Decode(encoded); string(got) != "a\xff" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func wantRoundTrip[T comparable](t *testing.T, c value.Codec[T], v T, want string) {
	t.Helper()
	b, err := c.Encode(v)
	if err != nil || string(b) != want {
		t.Errorf("%v is encoded as %q, %v; want %q", v, b, err, want)
	}
	if got, err := c.Decode(b); err != nil || got != v {
		t.Errorf("%q is decoded as %v, %v; want %v", b, got, err, v)
	}
}
