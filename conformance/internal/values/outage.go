package values

import (
	"errors"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// outageChecks are those of V11.
var outageChecks = []check{
	{"V11", "unavailable", "fails every call with ErrUnavailable, from the first Get on and again later: Gets wait, and return the value when the failures end", 0, func(w *world) {
		w.set("one")
		v := w.value()
		w.inEachMode(v, func(f *follower) {
			w.faults.Fail(-1, kv.ErrUnavailable)
			w.faults.EndStreams(kv.ErrUnavailable)
			w.attempts(3)
			c := f.begin()
			w.attempts(1)
			c.waits()
			if s := v.Status(); s.Connected || !errors.Is(s.LastError, kv.ErrUnavailable) {
				w.Errorf("in an outage; %s", f.status())
			}
			w.faults.Clear()
			c.gives("one")
			c = f.begin()
			w.streaming(1)
			w.faults.Fail(-1, kv.ErrUnavailable)
			w.faults.EndStreams(kv.ErrUnavailable)
			w.attempts(3)
			c.waits()
			w.set("two")
			w.faults.Clear()
			c.gives("two")
			w.set("one")
		})
	}},
	{"V11", "cut-off", "cuts the store off while Gets wait, and puts: the Gets wait without an error, and return the put after the heal", 0, func(w *world) {
		w.set("one")
		followers := w.both(w.value())
		var calls []*call
		for _, f := range followers {
			f.gives("one")
			calls = append(calls, f.begin())
		}
		w.streaming(1)
		others, heal := w.away()
		_, err := w.TryPut(others, w.at, "two")
		w.Must("put", err)
		for _, c := range calls {
			c.waits()
		}
		heal()
		for _, c := range calls {
			c.gives("two")
		}
		w.nextArrives(followers...)
	}},
	{"V11", "streams-ended", "ends the backend's streams while Gets wait, several times: the Gets wait without an error for the next put", suite.EndStreams, func(w *world) {
		w.set("one")
		followers := w.both(w.value())
		var calls []*call
		for _, f := range followers {
			f.gives("one")
			calls = append(calls, f.begin())
		}
		w.streaming(1)
		for range 2 {
			w.EndStreams()
		}
		for _, c := range calls {
			c.waits()
		}
		w.set("two")
		for _, c := range calls {
			c.gives("two")
		}
		w.nextArrives(followers...)
	}},
	{"V11", "watch-refused", "refuses the watch with ErrPermission a few times, but no read: Get returns no error", 0, func(w *world) {
		w.set("one")
		w.inEachMode(w.value(), func(f *follower) {
			f.gives("one")
			c := f.begin()
			w.streaming(1)
			w.faults.Fail(4, kv.ErrPermission, fault.Watches)
			w.faults.EndStreams(kv.ErrPermission)
			w.set("two")
			c.gives("two")
			w.nextArrives(f)
			w.set("one")
		})
	}},
	{"V11", "refused", "refuses reads and watches with ErrPermission: Get returns the error, and returns the next put when they are allowed again", 0, func(w *world) {
		w.set("one")
		w.inEachMode(w.value(), func(f *follower) {
			f.gives("one")
			c := f.begin()
			w.streaming(1)
			refused := w.faults.Fail(-1, kv.ErrPermission, fault.Reads)
			w.faults.EndStreams(kv.ErrPermission)
			c.fails(kv.ErrPermission)
			f.fails(kv.ErrPermission)
			refused.Remove()
			w.set("two")
			f.comesTo("two", kv.ErrPermission) // what was refused before may still have to be returned
			w.nextArrives(f)
			w.set("one")
		})
	}},
	{"V11", "refusal-found", "refuses reads only, while the watch goes on: the check after a silence finds the refusal", 0, func(w *world) {
		w.set("one")
		f := w.follow(w.value(value.WithCheck(checkEvery)), "one of the newest")
		f.gives("one")
		w.streaming(1)
		refused := w.faults.Fail(-1, kv.ErrPermission, fault.Gets)
		f.fails(kv.ErrPermission)
		refused.Remove()
	}},
	{"V11", "dead-stream", "silences the store's watch for ever: the check after a silence finds the changes that it did not deliver", 0, func(w *world) {
		w.set("one")
		f := w.follow(w.value(value.WithCheck(checkEvery)), "one of the newest")
		f.gives("one")
		c := f.begin()
		w.streaming(1)
		w.faults.Silence()
		w.set("two")
		c.gives("two")
		w.unset()
		f.fails(value.ErrDeleted)
		w.nextArrives(f)
	}},
	{"V11", "stale", "sets a limit to staleness and cuts the store off: Get returns ErrStale, and the value after the heal", 0, func(w *world) {
		w.set("one")
		w.inEachMode(w.value(value.WithMaxStaleness(100*time.Millisecond)), func(f *follower) {
			f.comesTo("one", value.ErrStale) // a read may take longer than the limit
			w.streaming(1)
			w.faults.Cut()
			f.fails(value.ErrStale)
			w.set("two")
			w.faults.Heal()
			f.comesTo("two", value.ErrStale)
			w.set("one")
		})
	}},
	{"V11", "status", "checks Status before, with and after a watcher, and after a put", 0, func(w *world) {
		w.set("one")
		v := w.value()
		if s := v.Status(); s != (value.Status{}) {
			w.Errorf("before it is used Status is %+v", s)
		}
		f := w.follow(v, "one of the newest")
		f.gives("one")
		w.streaming(1)
		rev := w.set("two")
		f.gives("two") // which the watch has brought, so the store has acknowledged the watch
		if s := v.Status(); !s.Connected || s.Watchers != 1 || s.Confirmed.IsZero() || s.LastError != nil {
			w.Errorf("when the watch has brought a value Status is %+v", s)
		}
		w.set("three")
		f.gives("three")
		if s := v.Status(); s.Revision < rev {
			w.Errorf("the put of revision %d was returned, and Status says revision %d", rev, s.Revision)
		}
		f.end()
		if s := v.Status(); s.Connected || s.Watchers != 0 {
			w.Errorf("when the last watcher is closed Status is %+v", s)
		}
	}},
}

// attempts waits until the key was read n times more.
func (w *world) attempts(n int) {
	before := w.faults.Counts().Gets
	w.until("the store was asked again several times", func(c fault.Counts) bool { return c.Gets >= before+n })
}

// comesTo requires the Gets to return want, after no more than errors that match passing.
func (f *follower) comesTo(want string, passing error) {
	for {
		got := f.begin().end()
		if got.err == nil && got.value == want {
			return
		}
		if !errors.Is(got.err, passing) {
			f.w.Fatalf("Get of %s returned %v, and should return %s, after errors that match %q at most", f.name, got, suite.Brief(want), passing)
		}
	}
}
