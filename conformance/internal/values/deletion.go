package values

import (
	"errors"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/value"
)

// deletionChecks are those of V6.
var deletionChecks = []check{
	{"V6", "Remove", "deletes a key that was read: Get reports the deletion once, or returns the default", 0, func(w *world) {
		w.set("one")
		v := w.value()
		followers := w.both(v)
		withDefault := w.follow(w.value(value.WithDefault("none")), "one with a default")
		for _, f := range append(followers, withDefault) {
			f.gives("one")
		}
		gone := w.unset()
		w.unset() // of what is not there: no news
		for _, f := range followers {
			if got := f.fails(value.ErrDeleted); got.rev != gone {
				w.Fatalf("the deletion was at revision %d, and Revision says %d", gone, got.rev)
			}
			f.nothing()
		}
		withDefault.gives("none")
		withDefault.nothing()
		if r, ok := v.Latest(); ok {
			w.Errorf("of a deleted key Latest is %q of revision %d", r.Value, r.Revision)
		}
		w.nextArrives(append(followers, withDefault)...)
	}},
	{"V6", "not-told-to-the-new", "deletes a key, and then opens watchers: they have returned no value, and wait for one", 0, func(w *world) {
		w.set("one")
		v := w.value()
		old := w.follow(v, "one opened before")
		old.gives("one")
		w.unset()
		old.fails(value.ErrDeleted)
		var calls []*call
		for _, f := range w.both(v) {
			calls = append(calls, f.begin())
		}
		for _, c := range calls {
			c.waits()
		}
		w.set("two")
		for _, c := range calls {
			c.gives("two")
		}
		old.gives("two")
	}},
	{"V6", "again-and-again", "deletes a key and makes it again, many times, and waits each time: every change is returned", 0, func(w *world) {
		w.set("one")
		followers := w.both(w.value())
		for _, f := range followers {
			f.gives("one")
		}
		for range 15 {
			w.unset()
			for _, f := range followers {
				f.fails(value.ErrDeleted)
			}
			w.set("one")
			for _, f := range followers {
				f.gives("one")
			}
		}
	}},
	{"V6", "while-cut-off", "deletes a key while the store is cut off: the deletion is reported after the heal", 0, func(w *world) {
		w.deletedWhileAway(func(suite.Store) {})
	}},
	{"V6", "DeletedWhileAway", "deletes a key while the store is cut off, and compacts that history: the deletion is still reported after the heal", suite.Compact, func(w *world) {
		w.deletedWhileAway(func(others suite.Store) { w.forgetHistoryVia(others) })
	}},
	{"V6", "made-again-unseen", "deletes a key and makes it again with the same bytes while the store is cut off: the new value is returned once", 0, func(w *world) {
		w.set("one")
		f := w.follow(w.value(), "one of the newest")
		first := f.gives("one")
		w.streaming(1)
		w.faults.Freeze() // so that no watcher sees what is between
		w.unset()
		rev := w.set("one")
		w.faults.Heal()
		if got := f.gives("one", value.AtLeast[string](rev)); got.rev != rev || got.rev == first.rev {
			w.Fatalf("the put of revision %d came as one of revision %d", rev, got.rev)
		}
		f.nothing()
	}},
	{"V6", "made-again-compacted", "the same, with that history compacted: versions and bytes are as before, and the new value is still returned", suite.Compact, func(w *world) {
		w.set("one")
		f := w.follow(w.value(), "one of the newest")
		f.gives("one")
		w.streaming(1)
		w.faults.Cut()
		w.unset()
		rev := w.set("one")
		w.forgetHistory()
		w.faults.Heal()
		if got := f.gives("one", value.AtLeast[string](rev)); got.rev != rev {
			w.Fatalf("the put of revision %d came as one of revision %d", rev, got.rev)
		}
		f.nothing()
		w.nextArrives(f)
	}},
}

// deletedWhileAway deletes a key that both kinds of watchers have read, while they cannot reach the store.
func (w *world) deletedWhileAway(more func(others suite.Store)) {
	w.set("one")
	followers := w.both(w.value())
	withDefault := w.follow(w.value(value.WithDefault("none")), "one with a default")
	for _, f := range append(followers, withDefault) {
		f.gives("one")
	}
	w.streaming(2)
	others, heal := w.away()
	_, err := w.TryDelete(others, w.at)
	w.Must("delete", err)
	more(others)
	heal()
	newest, every := followers[0], followers[1]
	newest.fails(value.ErrDeleted)
	newest.nothing()
	withDefault.gives("none")
	got := every.begin().end()
	if errors.As(got.err, new(*value.GapError)) { // history is gone, and so may be what else happened
		got = every.begin().end()
	}
	if !errors.Is(got.err, value.ErrDeleted) {
		w.Fatalf("Get of every update returned %v, and should tell the deletion, after a GapError at most", got)
	}
	every.nothing()
	w.nextArrives(append(followers, withDefault)...)
}
