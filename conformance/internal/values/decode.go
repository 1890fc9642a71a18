package values

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// decodeChecks are those of V7.
var decodeChecks = []check{
	{"V7", "Decoder", `accepts only whole numbers divisible by three, watches every update, and puts "", 9, foo, 18, 10, 10, 27, 36: error, 9, error, 18, error, error, 27, 36`, 0, func(w *world) {
		w.set("3")
		f := w.follow(w.decoded(threes), "one of every update", value.EveryUpdate())
		f.gives("3")
		puts := []string{"", "9", "foo", "18", "10", "10", "27", "36"}
		var revs []kv.Revision
		for _, text := range puts {
			revs = append(revs, w.set(text))
		}
		for i, text := range puts {
			if _, err := threes([]byte(text)); err != nil {
				f.failsToDecode(revs[i])
			} else {
				f.gives(text)
			}
		}
		f.nothing()
	}},
	{"V7", "first", "puts a bad value before anything is read: Get returns a DecodeError, also with a default, and then the next good value", 0, func(w *world) {
		rev := w.set("bad")
		v := w.decoded(threes, value.WithDefault("99"))
		followers := w.both(v)
		for _, f := range followers {
			f.failsToDecode(rev)
			f.nothing()
		}
		if r, ok := v.Latest(); ok {
			w.Errorf("there was no good value, and Latest is %q of revision %d", r.Value, r.Revision)
		}
		w.set("6")
		for _, f := range followers {
			f.gives("6")
		}
	}},
	{"V7", "told-once", "puts a bad value, gets it, and ends the store's watch: the bad value is read again and not returned again", 0, func(w *world) {
		w.set("3")
		followers := w.both(w.decoded(threes))
		for _, f := range followers {
			f.gives("3")
		}
		rev := w.set("bad")
		var calls []*call
		for _, f := range followers {
			f.failsToDecode(rev)
			calls = append(calls, f.begin())
		}
		w.streaming(1)
		w.readAfresh(1, func() { w.faults.EndStreams(kv.ErrUnavailable) })
		w.set("9")
		for _, c := range calls {
			c.gives("9")
		}
	}},
	{"V7", "panic", "lets the decoder panic: that is a DecodeError, and its text has the value of the panic", 0, func(w *world) {
		w.set("3")
		followers := w.both(w.decoded(func(b []byte) (string, error) {
			if string(b) == "bad" {
				panic("out of order")
			}
			return string(b), nil
		}))
		for _, f := range followers {
			f.gives("3")
		}
		rev := w.set("bad")
		for _, f := range followers {
			f.failsToDecode(rev)
		}
		w.nextArrives(followers...)
	}},
}

// threes decodes whole numbers that are divisible by three.
func threes(b []byte) (string, error) {
	n, err := strconv.Atoi(string(b))
	if err == nil && n%3 != 0 {
		err = fmt.Errorf("%d is not divisible by three", n)
	}
	return string(b), err
}

// failsToDecode requires the next Get to tell that the put of revision rev is bad.
func (f *follower) failsToDecode(rev kv.Revision) {
	got := f.begin().end()
	bad, ok := errors.AsType[*value.DecodeError](got.err)
	if !ok || bad.Revision != rev || bad.Key != f.w.at || bad.Err == nil || got.rev != rev {
		f.w.Fatalf("Get of %s returned %v, and should return a DecodeError of revision %d", f.name, got, rev)
	}
}
