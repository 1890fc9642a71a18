package values

import (
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// newestChecks are the checks of V3: a slow reader gets the newest value, and so does every reader after a fault. They do not measure how
// much memory a slow reader holds.
var newestChecks = []check{
	{"V3", "Backlog", "puts a thousand times without a Get: the next Get returns the last put, at once", 0, func(e *env) {
		e.set("initial")
		v := e.value()
		slow, quick := e.follow(v, "the slow watcher"), e.follow(v, "the quick watcher")
		slow.Gives("initial")
		e.Streaming(1)
		last := e.burst(40, 1000)
		quick.Gives("last", value.AtLeast[string](last))
		if got := slow.Gives("last"); got.Revision != last {
			e.Fatalf("the last put was at revision %d, but Revision returns %d", last, got.Revision)
		}
		slow.HasNothing()
	}},
	{"V3", "while-writing", "gets while others put: each Get returns a later revision than the Get before, and what was put at that revision", 0, func(e *env) {
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
				e.Errorf("revision %d put %q, but Get returned %q for it", event.ModRevision, event.Value, got)
			}
		}
		rev := e.set("last")
		followers[0].Gives("last", value.AtLeast[string](rev))
	}},
	newestAfter("stream-lost", "the watch of the store fails", 0, func(e *env) { e.faults.EndStreams(kv.ErrUnavailable) }),
	newestAfter("stream-stops", "the watch of the store stops without an error", 0, func(e *env) { e.faults.EndStreams(nil) }),
	newestAfter("attempts-fail", "the watch of the store fails, and so do three attempts to watch again", 0, func(e *env) {
		e.faults.Fail(3, kv.ErrUnavailable, fault.Reads)
		e.faults.EndStreams(kv.ErrUnavailable)
	}),
	newestAfter("cut-off", "the store is cut off, the key is put, and the cut is healed", 0, func(e *env) {
		others, heal := e.away()
		e.setVia(others, "meanwhile")
		heal()
	}),
	newestAfter("compacted", "the store is cut off, the key is put, history is compacted, and the cut is healed", suite.Compact, func(e *env) {
		others, heal := e.away()
		e.setVia(others, "meanwhile")
		e.forgetHistoryVia(others)
		heal()
	}),
	newestAfter("streams-ended", "the backend ends its streams", suite.EndStreams, func(e *env) { e.EndStreams() }),
}

// newestAfter returns a check that the newest value still arrives after what happens, and that the next value does too.
func newestAfter(name, story string, needs suite.Ability, happens func(*env)) check {
	does := story + ": the next put arrives, and so does the put after that"
	return check{"V3", name, does, needs, func(e *env) {
		e.set("one")
		f := e.follow(e.value(), "the watcher of the newest")
		f.Gives("one")
		e.Streaming(1)
		c := f.Begin(value.Where(func(text string) bool { return text != "meanwhile" }))
		happens(e)
		e.set("two")
		c.Gives("two")
		e.nextArrives(f)
	}}
}

// burst puts the key of the Values n times, by several concurrent writers, and then puts "last".
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
