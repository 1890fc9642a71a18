package values

import (
	"errors"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// badKeyChecks are the checks of M5.
var badKeyChecks = []check{
	{"M5", "alone", "puts bad values of some keys among good values: only the key with the bad value has an error, and it keeps its last good value", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		e.Put(e.in("b"), "1")
		m := e.newMap()
		newest, every := e.readBoth(m)
		newest.next()
		every.next()
		bad := e.Put(e.in("a"), "bad")
		v := newest.next()
		e.holds(v, "a=bad(1) b=1")
		e.changed(v, "a:1->bad(1)")
		e.badValueIs(m, e.in("a"), bad)
		last := e.Put(e.in("b"), "2")
		e.holds(newest.comesTo(last), "a=bad(1) b=2")
		last = e.Put(e.in("c"), "bad")
		e.holds(newest.comesTo(last), "a=bad(1) b=2 c=bad")
		e.badValueIs(m, e.in("c"), last)
		last = e.Put(e.in("a"), "bad again")
		e.holds(newest.comesTo(last), "a=bad(1) b=2 c=bad")
		e.Put(e.in("a"), "3")
		last = e.Put(e.in("c"), "3")
		e.holds(newest.comesTo(last), "a=3 b=2 c=3")
		if err := m.Status().BadValue; err != nil {
			e.Fatalf("all values are good, but Status has the bad value %v", err)
		}
		every.comesTo(last)
		e.nextKeyArrives(newest, every)
	}},
	{"M5", "first", "puts a bad value before anything is read, and another after a deletion: the key has no good value, and the View has the rest of the range", 0, func(e *env) {
		e.Put(e.in("a"), "bad")
		e.Put(e.in("b"), "1")
		newest, every := e.readBoth(e.newMap())
		e.holds(newest.next(), "a=bad b=1")
		e.holds(every.next(), "a=bad b=1")
		e.Put(e.in("a"), "2")
		e.Delete(e.in("a"))
		last := e.Put(e.in("a"), "bad")
		e.holds(newest.comesTo(last), "a=bad b=1") // a key that was deleted has no last good value
		e.holds(every.comesTo(last), "a=bad b=1")
		e.nextKeyArrives(newest, every)
	}},
	{"M5", "read-again", "ends the store's watch while a value is bad: the value is read again and is no change, and the key keeps its last good value", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		e.Put(e.in("b"), "1")
		newest, every := e.readBoth(e.newMap())
		newest.next()
		every.next()
		last := e.Put(e.in("a"), "bad")
		newest.comesTo(last)
		every.comesTo(last)
		e.Streaming(1)
		e.ReadAgain(1, func() { e.faults.EndStreams(kv.ErrUnavailable) })
		newest.HasNothing()
		last = e.Put(e.in("b"), "2")
		e.changed(newest.comesTo(last), "b:1->2")
		e.holds(newest.given[len(newest.given)-1], "a=bad(1) b=2")
		e.holds(every.comesTo(last), "a=bad(1) b=2")
		e.nextKeyArrives(newest, every)
	}},
	{"M5", "panic", "makes the decoder panic for one key: the key has a DecodeError, and the View has the rest of the range", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		e.Put(e.in("b"), "bad")
		r := e.read(e.newMapWith(func(b []byte) (*string, error) {
			s, err := textOrBad(b)
			if err != nil {
				panic("out of order")
			}
			return s, nil
		}))
		e.holds(r.next(), "a=1 b=bad")
		e.Put(e.in("b"), "2")
		e.holds(r.next(), "a=1 b=2")
	}},
}

// badValueIs requires that Status names the newest bad value of the range.
func (e *env) badValueIs(m LiveMap, key string, at kv.Revision) {
	bad, ok := asDecodeError(m.Status().BadValue)
	if !ok || bad.Key != key || bad.Revision != at {
		e.Fatalf("the newest bad value is that of %s at revision %d, but Status has %v", e.Short(key), at, m.Status().BadValue)
	}
}

func asDecodeError(err error) (*value.DecodeError, bool) {
	return errors.AsType[*value.DecodeError](err)
}

func asGap(err error) (*value.GapError, bool) { return errors.AsType[*value.GapError](err) }
