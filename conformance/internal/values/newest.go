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
	{"V3", "Backlog", "puts a thousand times without a Get: the next Get returns the last put, at once", 0, func(w *world) {
		w.set("initial")
		v := w.value()
		slow, quick := w.follow(v, "one that is slow"), w.follow(v, "one that is quick")
		slow.gives("initial")
		w.streaming(1)
		last := w.burst(16, 1000)
		quick.gives("last", value.AtLeast[string](last))
		if got := slow.gives("last"); got.rev != last {
			w.Fatalf("the last put was at revision %d, and Revision says %d", last, got.rev)
		}
		slow.nothing()
	}},
	{"V3", "beside-writers", "gets while others put: each Get is later than the Get before, and returns what was put at its revision", 0, func(w *world) {
		w.set("initial")
		followers := w.both(w.value())
		others := w.Traffic(3, func(n, i int) error {
			_, err := w.TryPut(w.Store, w.at, fmt.Sprintf("%d of %d", i, n))
			return err
		})
		last := make([]kv.Revision, len(followers))
		seen := make(map[kv.Revision]string)
		for range 20 {
			others.More()
			for i, f := range followers {
				got := f.begin().end()
				if got.err != nil || got.rev <= last[i] {
					w.Fatalf("Get of %s returned %v after revision %d", f.name, got, last[i])
				}
				last[i], seen[got.rev] = got.rev, got.value
			}
		}
		others.Stop()
		for _, event := range w.Ledger.EventsAfter(kv.Key(w.at), 0) {
			if got, ok := seen[event.ModRevision]; ok && got != string(event.Value) {
				w.Errorf("revision %d put %q, and Get returned %q for it", event.ModRevision, event.Value, got)
			}
		}
		rev := w.set("last")
		followers[0].gives("last", value.AtLeast[string](rev))
	}},
	newestAfter("stream-lost", "the watch of the store fails", 0, func(w *world) { w.faults.EndStreams(kv.ErrUnavailable) }),
	newestAfter("stream-stops", "the watch of the store stops without an error", 0, func(w *world) { w.faults.EndStreams(nil) }),
	newestAfter("attempts-fail", "the watch of the store fails, and so do three attempts at another", 0, func(w *world) {
		w.faults.Fail(3, kv.ErrUnavailable, fault.Reads)
		w.faults.EndStreams(kv.ErrUnavailable)
	}),
	newestAfter("cut-off", "the store is cut off, the key put meanwhile, and the cut healed", 0, func(w *world) {
		others, heal := w.away()
		_, err := w.TryPut(others, w.at, "meanwhile")
		w.Must("put", err)
		heal()
	}),
	newestAfter("compacted", "the store is cut off, the key put, history compacted, and the cut healed", suite.Compact, func(w *world) {
		others, heal := w.away()
		_, err := w.TryPut(others, w.at, "meanwhile")
		w.Must("put", err)
		w.forgetHistoryVia(others)
		heal()
	}),
	newestAfter("streams-ended", "the backend ends its streams", suite.EndStreams, func(w *world) { w.EndStreams() }),
}

// newestAfter is a check that something does not keep the newest value from arriving, nor the one after it.
func newestAfter(name, story string, needs suite.Ability, happens func(*world)) check {
	does := story + ": the next put arrives, and the one after that"
	return check{"V3", name, does, needs, func(w *world) {
		w.set("one")
		f := w.follow(w.value(), "one of the newest")
		f.gives("one")
		w.streaming(1)
		c := f.begin(value.Where(func(text string) bool { return text != "meanwhile" }))
		happens(w)
		w.set("two")
		c.gives("two")
		w.nextArrives(f)
	}}
}

// burst puts the key of the Values n times, by several writers at once, and then once more, "last".
func (w *world) burst(writers, n int) (last kv.Revision) {
	w.Parallel(writers, func(writer int) error {
		for i := writer; i < n; i += writers {
			if _, err := w.TryPut(w.Store, w.at, fmt.Sprint(i)); err != nil {
				return err
			}
		}
		return nil
	})
	return w.set("last")
}
