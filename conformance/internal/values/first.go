package values

import (
	"errors"
	"strings"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// firstGetChecks are the checks of V1: what a watcher returns first.
var firstGetChecks = []check{
	{"V1", "present", "puts a key several times, and opens a watcher after each put: it gets that value, and its revision", 0, func(e *env) {
		v := e.value()
		for _, text := range []string{"one", "", "two", "two", "\x00\xff\n", strings.Repeat("m", 1<<20), "three"} {
			rev := e.set(text)
			e.inEachMode(v, func(f *watcher) {
				if got := f.Gives(text); got.Revision != rev {
					e.Fatalf("the value was put at revision %d, but Revision returns %d", rev, got.Revision)
				}
				f.HasNothing()
			})
		}
	}},
	{"V1", "odd-keys", "opens watchers of neighbouring keys of odd bytes: each gets the value of its key", 0, func(e *env) {
		keys := []string{"k", "k\x00", "k\x00\x00", "k\xff", "k/", "k//", "K", "kk", "k*", "k k", "k\n", "é", strings.Repeat("k", 1000-len(e.Prefix))}
		for _, key := range keys {
			e.Put(e.Key(key), "first of "+key)
		}
		var followers []*watcher
		for _, key := range keys {
			f := e.follow(e.valueOf(e.Store, e.Key(key), value.String), "of "+suite.Brief(key))
			f.Gives("first of " + key)
			followers = append(followers, f)
		}
		for i, key := range keys {
			e.Put(e.Key(key), "second of "+key)
			followers[i].Gives("second of " + key)
		}
	}},
	{"V1", "EarlyUse", "gets a key that does not exist, while its neighbours are put: Get waits until the key is created", 0, func(e *env) {
		e.inEachMode(e.value(), func(f *watcher) {
			c := f.Begin()
			e.Streaming(1)
			e.Put(e.at+"/below", "v")
			e.Put(e.at+"\x00", "v")
			e.Put(e.Key("valu"), "v")
			c.Waits()
			e.set("one")
			c.Gives("one")
			e.unset()
		})
	}},
	{"V1", "EmptyRace", "deletes a key, and puts it just after a watcher's first read has found nothing, and before the watch begins: Get returns the put", 0, func(e *env) {
		e.set("one")
		e.unset()
		begun := e.faults.Hold(fault.Watches)
		f := e.follow(e.value(), "the watcher of the newest")
		e.Held(begun)
		answer := e.faults.Hold(fault.Gets, fault.Answered)
		c := f.Begin() // makes one more read, which finds nothing either: only the watch can deliver the put
		e.Held(answer)
		e.set("two")
		answer.Release()
		begun.Release()
		c.Gives("two")
		e.nextArrives(f)
	}},
	{"V1", "fresh-read", "opens a watcher while the Value's watch has not yet delivered the last put: the first Get returns that put", 0, func(e *env) {
		e.set("one")
		v := e.value()
		first := e.follow(v, "the first")
		first.Gives("one")
		e.Streaming(1)
		event := e.faults.Hold(fault.Watches, fault.Answered)
		e.set("two")
		others := e.both(v)
		allGive(others, "two")
		event.Release()
		first.Gives("two")
		e.nextArrives(others...) // the late event is not returned again
	}},
	{"V1", "read-begun-before", "puts after the store has answered a watcher's first read, and before the answer arrives: a later Get does not return that answer", 0, func(e *env) {
		e.set("one")
		answer := e.faults.Hold(fault.Gets, fault.Answered)
		f := e.follow(e.value(), "the watcher of the newest")
		e.Held(answer)
		event := e.faults.Hold(fault.Watches, fault.Answered)
		e.set("two")
		c := f.Begin()
		c.Waits()
		answer.Release()
		c.Gives("two")
		event.Release()
	}},
	{"V1", "others-writes", "puts through the store, then through another store over the same data, and opens a watcher at once, many times", suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		v := e.value()
		for i := range 10 {
			e.set("own")
			text := string(rune('a' + i))
			e.setVia(other, text)
			e.inEachMode(v, func(f *watcher) { f.Gives(text) })
		}
	}},
	{"V1", "default", "gets a key that does not exist, with a default: Get returns the default at once, and the value once there is one", 0, func(e *env) {
		v := e.value(value.WithDefault("none"))
		followers := e.both(v)
		for _, f := range followers {
			f.Gives("none")
			f.HasNothing()
		}
		e.set("one")
		allGive(followers, "one")
	}},
	{"V1", "one-read", "calls Value.Get for a key that is absent, present, bad and deleted: each makes one read, and no watch", 0, func(e *env) {
		v, withDefault := e.value(), e.value(value.WithDefault("none"))
		ctx, cancel := e.Bounded()
		defer cancel()
		if got, err := v.Get(ctx); !errors.Is(err, kv.ErrNotFound) {
			e.Errorf("Value.Get of an absent key returned %v", valuetest.Describe(got, err))
		}
		e.set("one")
		if got, err := v.Get(ctx); err != nil || got != "one" {
			e.Errorf("Value.Get returned %v, but the key is \"one\"", valuetest.Describe(got, err))
		}
		if got, err := e.decoded(threes).Get(ctx); !errors.As(err, new(*value.DecodeError)) {
			e.Errorf("Value.Get of a bad value returned %v", valuetest.Describe(got, err))
		}
		e.unset()
		if got, err := withDefault.Get(ctx); err != nil || got != "none" {
			e.Errorf("Value.Get of a deleted key with a default returned %v", valuetest.Describe(got, err))
		}
		if n := e.faults.Counts(); n.Gets != 4 || n.Watches != 0 {
			e.Errorf("four calls of Value.Get made these calls of the store, want four reads: %v", n)
		}
	}},
}

// laterGetChecks are the checks of V2: what a watcher returns after the first Get.
var laterGetChecks = []check{
	{"V2", "Simple", "puts one, gets it, puts two, gets it, puts three to six: Gets come to six", 0, func(e *env) {
		e.set("one")
		f := e.follow(e.value(), "the watcher of the newest")
		f.Gives("one")
		e.set("two")
		f.Gives("two")
		for _, text := range []string{"three", "four", "five", "six"} {
			e.set(text)
		}
		for last := kv.Revision(0); ; {
			got := f.Begin().Got()
			if got.Err != nil || got.Revision <= last {
				e.Fatalf("Get returned %v after revision %d, but the last of four puts was not returned yet", got, last)
			}
			if last = got.Revision; got.Value == "six" {
				return
			}
		}
	}},
	{"V2", "waits", "gets while only other keys change, then puts: Get waits for the put, even if the bytes are the same as before", 0, func(e *env) {
		e.set("one")
		e.inEachMode(e.value(), func(f *watcher) {
			f.Gives("one")
			for _, text := range []string{"two", "two", "", "", "one"} {
				c := f.Begin()
				e.Streaming(1)
				e.setOther()
				e.Put(e.at+"/below", "v")
				c.Waits()
				rev := e.set(text)
				if got := c.Gives(text); got.Revision != rev {
					e.Fatalf("the put of revision %d was returned with revision %d", rev, got.Revision)
				}
				f.HasNothing()
			}
		})
	}},
	{"V2", "BacklogOnly", "calls TryGet, which never waits: it returns the value, then nothing new, and after a put the new value", 0, func(e *env) {
		e.set("one")
		v := e.value()
		followers := e.both(v)
		e.readOnce(v)
		for _, f := range followers {
			got, err := f.TryGet()
			if err != nil || got != "one" {
				e.Fatalf("TryGet of %s returned %v, want \"one\"", f.Name, valuetest.Describe(got, err))
			}
			f.HasNothing()
		}
		e.set("two")
		allGive(followers, "two")
	}},
	{"V2", "Filter", "puts one to nine, and gets only values above five: a value that was skipped is not returned later", 0, func(e *env) {
		above5 := value.Where(func(text string) bool { return text > "5" })
		v := e.value()
		e.set("0")
		followers := e.both(v)
		allGive(followers, "0")
		e.Streaming(1)
		for i := '1'; i <= '9'; i++ {
			e.set(string(i))
		}
		for _, f := range followers {
			last := "5"
			for last != "9" {
				got := f.Begin(above5).Got()
				if got.Err != nil || got.Value <= last {
					e.Fatalf("Get of %s, filtered for values above 5, returned %v after %q", f.Name, got, last)
				}
				last = got.Value
			}
			f.HasNothing()
		}
	}},
}
