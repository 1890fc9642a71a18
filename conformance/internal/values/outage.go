package values

import (
	"errors"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// outageChecks are the checks of V11.
var outageChecks = []check{
	{"V11", "unavailable", "fails every call with ErrUnavailable, from the first Get on and again later: Gets wait, and return the value when the failures end", 0, func(e *env) {
		e.set("one")
		v := e.value()
		e.inEachMode(v, func(f *watcher) {
			e.faults.Fail(-1, kv.ErrUnavailable)
			e.faults.EndStreams(kv.ErrUnavailable)
			e.attempts(3)
			c := f.Begin()
			e.attempts(1)
			c.Waits()
			if s := v.Status(); s.Connected || !errors.Is(s.LastError, kv.ErrUnavailable) {
				e.Errorf("there is an outage, but Status does not show it; %s", f.Status())
			}
			e.faults.Clear()
			c.Gives("one")
			c = f.Begin()
			e.Streaming(1)
			e.faults.Fail(-1, kv.ErrUnavailable)
			e.faults.EndStreams(kv.ErrUnavailable)
			e.attempts(3)
			c.Waits()
			e.set("two")
			e.faults.Clear()
			c.Gives("two")
			e.set("one")
		})
	}},
	{"V11", "cut-off", "cuts the store off while Gets wait, and puts: the Gets wait without an error, and return the put after the heal", 0, func(e *env) {
		e.set("one")
		followers := e.both(e.value())
		allGive(followers, "one")
		calls := beginAll(followers)
		e.Streaming(1)
		others, heal := e.away()
		e.setVia(others, "two")
		callsWait(calls)
		heal()
		callsGive(calls, "two")
		e.nextArrives(followers...)
	}},
	{"V11", "streams-ended", "ends the backend's streams while Gets wait, several times: the Gets wait without an error for the next put", suite.EndStreams, func(e *env) {
		e.set("one")
		followers := e.both(e.value())
		allGive(followers, "one")
		calls := beginAll(followers)
		e.Streaming(1)
		for range 2 {
			e.EndStreams()
		}
		callsWait(calls)
		e.set("two")
		callsGive(calls, "two")
		e.nextArrives(followers...)
	}},
	{"V11", "watch-refused", "refuses the watch with ErrPermission a few times, but no read: Get returns no error", 0, func(e *env) {
		e.set("one")
		e.inEachMode(e.value(), func(f *watcher) {
			f.Gives("one")
			c := f.Begin()
			e.Streaming(1)
			e.faults.Fail(4, kv.ErrPermission, fault.Watches)
			e.faults.EndStreams(kv.ErrPermission)
			e.set("two")
			c.Gives("two")
			e.nextArrives(f)
			e.set("one")
		})
	}},
	{"V11", "refused", "refuses reads and watches with ErrPermission: Get returns the error, and returns the next put when they are allowed again", 0, func(e *env) {
		e.set("one")
		e.inEachMode(e.value(), func(f *watcher) {
			f.Gives("one")
			c := f.Begin()
			e.Streaming(1)
			refused := e.faults.Fail(-1, kv.ErrPermission, fault.Reads)
			e.faults.EndStreams(kv.ErrPermission)
			c.Fails(kv.ErrPermission)
			f.Fails(kv.ErrPermission)
			refused.Remove()
			e.set("two")
			f.GivesAfter(kv.ErrPermission, "two") // an earlier refusal may still be returned first
			e.nextArrives(f)
			e.set("one")
		})
	}},
	{"V11", "refusal-found", "refuses only reads, while the watch goes on: the check of a silent watch finds the refusal", 0, func(e *env) {
		e.set("one")
		f := e.follow(e.value(value.WithCheck(checkEvery)), "the watcher of the newest")
		f.Gives("one")
		e.Streaming(1)
		refused := e.faults.Fail(-1, kv.ErrPermission, fault.Gets)
		f.Fails(kv.ErrPermission)
		refused.Remove()
	}},
	{"V11", "dead-stream", "silences the store's watch for ever: the check of a silent watch finds the changes that the watch did not deliver", 0, func(e *env) {
		e.set("one")
		f := e.follow(e.value(value.WithCheck(checkEvery)), "the watcher of the newest")
		f.Gives("one")
		c := f.Begin()
		e.Streaming(1)
		e.faults.Silence()
		e.set("two")
		c.Gives("two")
		e.unset()
		f.Fails(value.ErrDeleted)
		e.nextArrives(f)
	}},
	{"V11", "stale", "sets a limit to staleness and cuts the store off: Get returns ErrStale, and after the heal the value", 0, func(e *env) {
		e.set("one")
		e.inEachMode(e.value(value.WithMaxStaleness(100*time.Millisecond)), func(f *watcher) {
			f.GivesAfter(value.ErrStale, "one") // a read may take longer than the limit
			e.Streaming(1)
			e.faults.Cut()
			f.Fails(value.ErrStale)
			e.set("two")
			e.faults.Heal()
			f.GivesAfter(value.ErrStale, "two")
			e.set("one")
		})
	}},
	{"V11", "status", "checks Status before, with and after a watcher, and after a put", 0, func(e *env) {
		e.set("one")
		v := e.value()
		if s := v.Status(); s != (value.Status{}) {
			e.Errorf("before the Value is used, Status is %+v", s)
		}
		f := e.follow(v, "the watcher of the newest")
		f.Gives("one")
		e.Streaming(1)
		rev := e.set("two")
		f.Gives("two") // the watch has delivered this, so the store has acknowledged the watch
		if s := v.Status(); !s.Connected || s.Watchers != 1 || s.Confirmed.IsZero() || s.LastError != nil {
			e.Errorf("after the watch has delivered a value, Status is %+v", s)
		}
		e.set("three")
		f.Gives("three")
		if s := v.Status(); s.Revision < rev {
			e.Errorf("the put of revision %d was returned, but Status has revision %d", rev, s.Revision)
		}
		f.End()
		if s := v.Status(); s.Connected || s.Watchers != 0 {
			e.Errorf("after the last watcher was closed, Status is %+v", s)
		}
	}},
}

// attempts waits until the key was read n more times.
func (e *env) attempts(n int) {
	before := e.faults.Counts().Gets
	e.Until("the store was asked again several times", func(c fault.Counts) bool { return c.Gets >= before+n })
}
