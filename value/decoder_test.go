package value_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// threes decodes whole numbers divisible by three.
func threes(b []byte) (int, error) {
	n, err := strconv.Atoi(string(b))
	if err == nil && n%3 != 0 {
		err = fmt.Errorf("%d is not divisible by three", n)
	}
	return n, err
}

func TestV7EachBadUpdateIsReturned(t *testing.T) {
	each(t, v7, func(w *world) {
		w.put("3")
		a := watch(w, value.New(w.Store, w.key, threes), value.EveryUpdate())
		a.Gives(3)
		w.Streaming(1)
		var revisions []kv.Revision
		puts := []string{"", "9", "foo", "18", "10", "10", "27", "36"}
		for _, p := range puts {
			revisions = append(revisions, w.put(p))
		}
		for i, p := range puts {
			if n, err := threes([]byte(p)); err == nil {
				a.Gives(n)
			} else {
				a.FailsToDecode(revisions[i])
			}
		}
		a.HasNothing()
	})
}

func TestV7TheFirstValueIsBad(t *testing.T) {
	each(t, v7, func(w *world) {
		rev := w.put("x")
		v := value.New(w.Store, w.key, threes, value.WithDefault(99))
		a := watch(w, v)
		a.FailsToDecode(rev)
		a.HasNothing()
		if a.Revision() != rev {
			w.broken("Revision is %d after the bad value of %d", a.Revision(), rev)
		}
		if got, ok := v.Latest(); ok {
			w.broken("there was no good value, but Latest is %+v", got)
		}
		w.put("3")
		a.Gives(3)
	})
}

func TestV7ABadValueIsReturnedOnce(t *testing.T) {
	each(t, v7, func(w *world) {
		w.put("3")
		a := watch(w, value.New(w.Store, w.key, threes))
		a.Gives(3)
		w.Streaming(1)
		rev := w.put("x")
		a.FailsToDecode(rev)
		w.Cut()
		w.compact()
		w.Heal() // after this the store is read again
		w.Settle()
		a.HasNothing()
		w.delete()
		a.Fails(value.ErrDeleted)
		w.put("6")
		a.Gives(6)
	})
}

func TestV7APanicIsADecodeError(t *testing.T) {
	cause := errors.New("the cause")
	for name, does := range map[string]func(){
		"string":      func() { panic("the cause") },
		"error":       func() { panic(cause) },
		"nil pointer": func() { var p *netip.Addr; _ = p.Is4() },
		"nil":         func() { panic(nil) },
		"index":       func() { var s []int; _ = s[len(s)] },
		//lint:ignore SA5000 it is meant to panic
		"nil map": func() { var m map[string]int; m["a"] = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, "V7, a decoder that panics is a decode error, not a crash", func(w *world) {
				w.put("1")
				v := value.New(w.Store, w.key, func(b []byte) (string, error) {
					if string(b) == "bad" {
						does()
					}
					return string(b), nil
				})
				a, every := both(w, v, "1")
				w.Streaming(1)
				rev := w.put("bad")
				a.FailsToDecode(rev)
				every.FailsToDecode(rev)
				_, err := v.Get(w.Context())
				var bad *value.DecodeError
				if !errors.As(err, &bad) || name == "error" && !errors.Is(err, cause) {
					w.broken("Value.Get returned the error %v", err)
				}
				if !strings.Contains(string(bad.Stack), "decoder_test.go") || strings.Contains(err.Error(), "decoder_test.go") {
					w.broken("the stack, not the error's text, must say where the panic was: %v\n%s", err, bad.Stack)
				}
				w.put("2")
				a.Gives("2")
				every.Gives("2")
			})
		})
	}
}

// A wait for a decoder must not stop the time of a bubble.
func TestADecoderMaySleepInABubble(t *testing.T) {
	inBubble(t, "a Value works in a synctest bubble if its store does", func(w *world) {
		v := value.New(w.Store, w.key, func(b []byte) (string, error) {
			time.Sleep(time.Minute)
			return string(b), nil
		}, value.WithMaxStaleness(time.Hour), value.WithCheck(time.Second))
		a := watch(w, v)
		w.put("one")
		a.Gives("one")
		w.put("two")
		b := watch(w, v) // asks for a read while the watch's update is being decoded
		a.Gives("two")
		b.Gives("two")
	})
}

func TestV7TheCauseIsKept(t *testing.T) {
	cause := errors.New("the cause")
	inBubble(t, v7+", with its cause", func(w *world) {
		w.put("x")
		a := watch(w, value.New(w.Store, w.key, func([]byte) (int, error) { return 7, cause }))
		if got, err := a.Next(); got != 0 || !errors.Is(err, cause) {
			w.broken("Get returned %d and %v, want zero and the cause", got, err)
		}
	})
}

func TestDecoders(t *testing.T) {
	type limits struct{ RPS int }
	check := func(name string, got any, err error, want any) {
		t.Helper()
		if want == nil {
			if err == nil {
				t.Errorf("%s: got %v, want an error", name, got)
			}
			return
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	s, err := value.String([]byte("a\x00b"))
	check("String", s, err, "a\x00b")
	b, err := value.Bytes([]byte("ab"))
	check("Bytes", b, err, []byte("ab"))
	l, err := value.JSON[limits]([]byte(`{"RPS":5,"more":1}`))
	check("JSON", l, err, limits{5})
	l, err = value.JSON[limits](nil)
	check("JSON of nothing", l, err, nil)
	l, err = value.JSON[limits]([]byte(`{"RPS":5} x`))
	check("JSON and more", l, err, nil)
	l, err = value.StrictJSON[limits]([]byte(" {\"RPS\":5}\n"))
	check("StrictJSON", l, err, limits{5})
	l, err = value.StrictJSON[limits]([]byte(`{"RPS":5,"more":1}`))
	check("StrictJSON with another member", l, err, nil)
	l, err = value.StrictJSON[limits]([]byte(`{"RPS":5} {}`))
	check("StrictJSON of two", l, err, nil)
	l, err = value.StrictJSON[limits]([]byte(`{"RPS":5}]`))
	check("StrictJSON and a bracket", l, err, nil)
	l, err = value.StrictJSON[limits](nil)
	check("StrictJSON of nothing", l, err, nil)
	p, err := value.JSON[*limits]([]byte(`null`))
	check("JSON null", p, err, (*limits)(nil))
	a, err := value.Text[netip.Addr]([]byte("10.0.0.1"))
	check("Text", a, err, netip.MustParseAddr("10.0.0.1"))
	a, err = value.Text[netip.Addr]([]byte("ten"))
	check("Text of nonsense", a, err, nil)
	level, err := value.Text[slog.Level]([]byte("WARN"))
	check("Text of a level", level, err, slog.LevelWarn)
}
