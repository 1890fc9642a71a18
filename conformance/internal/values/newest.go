package values

import (
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// newestChecks are those of V3: a reader that is slow, and what comes after trouble. How much memory a slow
// reader holds is not measured here.
var newestChecks = []check{
	{"V3", "Backlog", "puts a thousand times without a Get: the next Get returns the last put, at once", 0, func(e *env) {
		e.set("initial")
		v := e.value()
		slow, quick := e.follow(v, "one that is slow"), e.follow(v, "one that is quick")
		slow.Gives("initial")
		e.Streaming(1)
		last := e.burst(16, 1000)
		quick.Gives("last", value.AtLeast[string](last))
		if got := slow.Gives("last"); got.Revision != last {
			e.Fatalf("the last put was at revision %d, and Revision says %d", last, got.Revision)
		}
		slow.HasNothing()
	}},
	{"V3", "beside-writers", "gets while others put: each Get is later than the Get before, and returns what was put at its revision", 0, func(e *env) {
		e.set("initial")
		followers := e.both(e.value())
		others := e.Traffic(3, func(n, i int) error {
			_, err := e.TryPut(e.Store, e.at, fmt.Sprintf("%d of %d", i, n))
			return err
		})
		last := make([]kv.Revision, len(followers))
		seen := make(map[kv.Revision]string)
		for range 20 {
			others.More()
			for i, f := range followers {
				got := f.Begin().Got()
				if got.Err != nil || got.Revision <= last[i] {
					e.Fatalf("Get of %s returned %v after revision %d", f.Name, got, last[i])
				}
				last[i], seen[got.Revision] = got.Revision, got.Value
			}
		}
		others.Stop()
		for _, event := range e.Ledger.EventsAfter(kv.Key(e.at), 0) {
			if got, ok := seen[event.ModRevision]; ok && got != string(event.Value) {
				e.Errorf("revision %d put %q, and Get returned %q for it", event.ModRevision, event.Value, got)
			}
		}
		rev := e.set("last")
		followers[0].Gives("last", value.AtLeast[string](rev))
	}},
	newestAfter("stream-lost", "the watch of the store fails", 0, func(e *env) { e.faults.EndStreams(kv.ErrUnavailable) }),
	newestAfter("stream-stops", "the watch of the store stops without an error", 0, func(e *env) { e.faults.EndStreams(nil) }),
	newestAfter("attempts-fail", "the watch of the store fails, and so do three attempts at another", 0, func(e *env) {
		e.faults.Fail(3, kv.ErrUnavailable, fault.Reads)
		e.faults.EndStreams(kv.ErrUnavailable)
	}),
	newestAfter("cut-off", "the store is cut off, the key put meanwhile, and the cut healed", 0, func(e *env) {
		others, heal := e.away()
		e.setVia(others, "meanwhile")
		heal()
	}),
	newestAfter("compacted", "the store is cut off, the key put, history compacted, and the cut healed", suite.Compact, func(e *env) {
		others, heal := e.away()
		e.setVia(others, "meanwhile")
		e.forgetHistoryVia(others)
		heal()
	}),
	newestAfter("streams-ended", "the backend ends its streams", suite.EndStreams, func(e *env) { e.EndStreams() }),
}

// newestAfter is a check that something does not keep the newest value from arriving, nor the one after it.
func newestAfter(name, story string, needs suite.Ability, happens func(*env)) check {
	does := story + ": the next put arrives, and the one after that"
	return check{"V3", name, does, needs, func(e *env) {
		e.set("one")
		f := e.follow(e.value(), "one of the newest")
		f.Gives("one")
		e.Streaming(1)
		c := f.Begin(value.Where(func(text string) bool { return text != "meanwhile" }))
		happens(e)
		e.set("two")
		c.Gives("two")
		e.nextArrives(f)
	}}
}

// burst puts the key of the Values n times, by several writers at once, and then once more, "last".
func (e *env) burst(writers, n int) (last kv.Revision) {
	e.Parallel(writers, func(writer int) error {
		for i := writer; i < n; i += writers {
			if _, err := e.TryPut(e.Store, e.at, fmt.Sprint(i)); err != nil {
				return err
			}
		}
		return nil
	})
	return e.set("last")
}
