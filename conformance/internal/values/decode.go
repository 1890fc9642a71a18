package values

import (
	"fmt"
	"strconv"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// decodeChecks are the checks of V7.
var decodeChecks = []check{
	{"V7", "Decoder", `accepts only whole numbers divisible by three, watches every update, and puts "", 9, foo, 18, 10, 10, 27, 36: error, 9, error, 18, error, error, 27, 36`, 0, func(e *env) {
		e.set("3")
		f := e.follow(e.decoded(threes), "the watcher of every update", value.EveryUpdate())
		f.Gives("3")
		puts := []string{"", "9", "foo", "18", "10", "10", "27", "36"}
		var revs []kv.Revision
		for _, text := range puts {
			revs = append(revs, e.set(text))
		}
		for i, text := range puts {
			if _, err := threes([]byte(text)); err != nil {
				f.FailsToDecode(revs[i])
			} else {
				f.Gives(text)
			}
		}
		f.HasNothing()
	}},
	{"V7", "first", "puts a bad value before anything is read: Get returns a DecodeError, also with a default, and then the next good value", 0, func(e *env) {
		rev := e.set("bad")
		v := e.decoded(threes, value.WithDefault("99"))
		followers := e.both(v)
		for _, f := range followers {
			f.FailsToDecode(rev)
			f.HasNothing()
		}
		if r, ok := v.Latest(); ok {
			e.Errorf("there was no good value, but Latest is %q of revision %d", r.Value, r.Revision)
		}
		e.set("6")
		allGive(followers, "6")
	}},
	{"V7", "reported-once", "puts a bad value, gets it, and ends the store's watch: the bad value is read again and not returned again", 0, func(e *env) {
		e.set("3")
		followers := e.both(e.decoded(threes))
		allGive(followers, "3")
		rev := e.set("bad")
		var calls []*call
		for _, f := range followers {
			f.FailsToDecode(rev)
			calls = append(calls, f.Begin())
		}
		e.Streaming(1)
		e.ReadAgain(1, func() { e.faults.EndStreams(kv.ErrUnavailable) })
		e.set("9")
		callsGive(calls, "9")
	}},
	{"V7", "panic", "makes the decoder panic: Get returns a DecodeError, and its text has the value of the panic", 0, func(e *env) {
		e.set("3")
		followers := e.both(e.decoded(func(b []byte) (string, error) {
			if string(b) == "bad" {
				panic("out of order")
			}
			return string(b), nil
		}))
		allGive(followers, "3")
		rev := e.set("bad")
		for _, f := range followers {
			f.FailsToDecode(rev)
		}
		e.nextArrives(followers...)
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
