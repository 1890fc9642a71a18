package values

import (
	"errors"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/value"
)

// deletionChecks are the checks of V6.
var deletionChecks = []check{
	{"V6", "Remove", "deletes a key that was read: Get reports the deletion once, or returns the default", 0, func(e *env) {
		e.set("one")
		v := e.value()
		followers := e.both(v)
		withDefault := e.follow(e.value(value.WithDefault("none")), "the watcher with a default")
		allGive(append(followers, withDefault), "one")
		gone := e.unset()
		e.unset() // the key is absent, so this changes nothing
		for _, f := range followers {
			if got := f.Fails(value.ErrDeleted); got.Revision != gone {
				e.Fatalf("the deletion was at revision %d, but Revision returns %d", gone, got.Revision)
			}
			f.HasNothing()
		}
		withDefault.Gives("none")
		withDefault.HasNothing()
		if r, ok := v.Latest(); ok {
			e.Errorf("the key is deleted, but Latest is %q of revision %d", r.Value, r.Revision)
		}
		e.nextArrives(append(followers, withDefault)...)
	}},
	{"V6", "not-reported-to-new-watchers", "deletes a key, and then opens watchers: they do not return the deletion, and wait for a value", 0, func(e *env) {
		e.set("one")
		v := e.value()
		old := e.follow(v, "one opened before")
		old.Gives("one")
		e.unset()
		old.Fails(value.ErrDeleted)
		calls := beginAll(e.both(v))
		callsWait(calls)
		e.set("two")
		callsGive(calls, "two")
		old.Gives("two")
	}},
	{"V6", "several-deletions", "deletes a key and creates it again, many times, and waits each time: every change is returned", 0, func(e *env) {
		e.set("one")
		followers := e.both(e.value())
		allGive(followers, "one")
		for range 15 {
			e.unset()
			for _, f := range followers {
				f.Fails(value.ErrDeleted)
			}
			e.set("one")
			allGive(followers, "one")
		}
	}},
	{"V6", "while-cut-off", "deletes a key while the store is cut off: the deletion is reported after the heal", 0, func(e *env) {
		e.deletedWhileAway(func(suite.Store) {})
	}},
	{"V6", "DeletedWhileAway", "deletes a key while the store is cut off, and compacts that history: the deletion is still reported after the heal", suite.Compact, func(e *env) {
		e.deletedWhileAway(func(others suite.Store) { e.forgetHistoryVia(others) })
	}},
	{"V6", "recreated-unseen", "deletes a key and creates it again with the same bytes while the store is cut off: the new value is returned once", 0, func(e *env) {
		e.set("one")
		f := e.follow(e.value(), "the watcher of the newest")
		first := f.Gives("one")
		e.Streaming(1)
		e.faults.Freeze() // so that no watcher sees the states in between
		e.unset()
		rev := e.set("one")
		e.faults.Heal()
		if got := f.Gives("one", value.AtLeast[string](rev)); got.Revision != rev || got.Revision == first.Revision {
			e.Fatalf("the put of revision %d was returned with revision %d", rev, got.Revision)
		}
		f.HasNothing()
	}},
	{"V6", "recreated-compacted", "the same, with that history compacted: versions and bytes are as before, and the new value is still returned", suite.Compact, func(e *env) {
		e.set("one")
		f := e.follow(e.value(), "the watcher of the newest")
		f.Gives("one")
		e.Streaming(1)
		e.faults.Cut()
		e.unset()
		rev := e.set("one")
		e.forgetHistory()
		e.faults.Heal()
		if got := f.Gives("one", value.AtLeast[string](rev)); got.Revision != rev {
			e.Fatalf("the put of revision %d was returned with revision %d", rev, got.Revision)
		}
		f.HasNothing()
		e.nextArrives(f)
	}},
}

// deletedWhileAway deletes a key while the Value cannot reach the store. Both kinds of watchers have returned the key before.
func (e *env) deletedWhileAway(more func(others suite.Store)) {
	e.set("one")
	followers := e.both(e.value())
	withDefault := e.follow(e.value(value.WithDefault("none")), "the watcher with a default")
	allGive(append(followers, withDefault), "one")
	e.Streaming(2)
	others, heal := e.away()
	_, err := e.TryDelete(others, e.at)
	e.Must("delete", err)
	more(others)
	heal()
	newest, every := followers[0], followers[1]
	newest.Fails(value.ErrDeleted)
	newest.HasNothing()
	withDefault.Gives("none")
	got := every.Begin().Got()
	if errors.As(got.Err, new(*value.GapError)) { // if history is gone, other updates may be missing too
		got = every.Begin().Got()
	}
	if !errors.Is(got.Err, value.ErrDeleted) {
		e.Fatalf("Get of the watcher of every update returned %v, want the deletion, after at most one GapError", got)
	}
	every.HasNothing()
	e.nextArrives(append(followers, withDefault)...)
}
