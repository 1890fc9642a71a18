package values

import (
	"errors"
	"strings"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// firstGetChecks are those of V1: what a watcher returns first.
var firstGetChecks = []check{
	{"V1", "present", "puts a key several times, and opens a watcher after each put: it gets that value, and its revision", 0, func(w *world) {
		v := w.value()
		for _, text := range []string{"one", "", "two", "two", "\x00\xff\n", strings.Repeat("m", 1<<20), "three"} {
			rev := w.set(text)
			w.inEachMode(v, func(f *follower) {
				if got := f.gives(text); got.rev != rev {
					w.Fatalf("the value was put at revision %d, and Revision says %d", rev, got.rev)
				}
				f.nothing()
			})
		}
	}},
	{"V1", "odd-keys", "opens watchers of neighbouring keys of odd bytes: each gets the value of its key", 0, func(w *world) {
		keys := []string{"k", "k\x00", "k\x00\x00", "k\xff", "k/", "k//", "K", "kk", "k*", "k k", "k\n", "é", strings.Repeat("k", 1000-len(w.Prefix))}
		for _, key := range keys {
			w.Put(w.Key(key), "first of "+key)
		}
		var followers []*follower
		for _, key := range keys {
			f := w.follow(w.valueOf(w.Store, w.Key(key), value.String), "of "+suite.Brief(key))
			f.gives("first of " + key)
			followers = append(followers, f)
		}
		for i, key := range keys {
			w.Put(w.Key(key), "second of "+key)
			followers[i].gives("second of " + key)
		}
	}},
	{"V1", "EarlyUse", "gets a key that does not exist, while its neighbours are put: Get waits until it is created", 0, func(w *world) {
		w.inEachMode(w.value(), func(f *follower) {
			c := f.begin()
			w.streaming(1)
			w.Put(w.at+"/below", "v")
			w.Put(w.at+"\x00", "v")
			w.Put(w.Key("valu"), "v")
			c.waits()
			w.set("one")
			c.gives("one")
			w.unset()
		})
	}},
	{"V1", "EmptyRace", "puts a key that was deleted just after a watcher's first read has found nothing, and before it watches", 0, func(w *world) {
		w.set("one")
		w.unset()
		begun := w.faults.Hold(fault.Watches)
		f := w.follow(w.value(), "of the newest")
		w.held(begun)
		answer := w.faults.Hold(fault.Gets, fault.Answered)
		c := f.begin() // has one more read made, which finds nothing either: only the watch can bring what is put
		w.held(answer)
		w.set("two")
		answer.Release()
		begun.Release()
		c.gives("two")
		w.nextArrives(f)
	}},
	{"V1", "fresh-read", "opens a watcher while the Value's watch has not yet delivered the last put: the first Get returns that put", 0, func(w *world) {
		w.set("one")
		v := w.value()
		first := w.follow(v, "the first")
		first.gives("one")
		w.streaming(1)
		event := w.faults.Hold(fault.Watches, fault.Answered)
		w.set("two")
		others := w.both(v)
		for _, f := range others {
			f.gives("two")
		}
		event.Release()
		first.gives("two")
		w.nextArrives(others...) // the event that was late is no news to them
	}},
	{"V1", "read-begun-before", "puts after the store has answered a watcher's first read, before the answer arrives: that answer is too old for a later Get", 0, func(w *world) {
		w.set("one")
		answer := w.faults.Hold(fault.Gets, fault.Answered)
		f := w.follow(w.value(), "of the newest")
		w.held(answer)
		event := w.faults.Hold(fault.Watches, fault.Answered)
		w.set("two")
		c := f.begin()
		c.waits()
		answer.Release()
		c.gives("two")
		event.Release()
	}},
	{"V1", "others-writes", "puts through the store, then through another store over the same data, and opens a watcher at once, many times", suite.Again, func(w *world) {
		other := w.Backend.Again(w, w.Store)
		v := w.value()
		for i := range 10 {
			w.set("own")
			text := string(rune('a' + i))
			_, err := w.TryPut(other, w.at, text)
			w.Must("put", err)
			w.inEachMode(v, func(f *follower) { f.gives(text) })
		}
	}},
	{"V1", "default", "gets a key that does not exist, with a default: Get returns the default at once, and the value when there is one", 0, func(w *world) {
		v := w.value(value.WithDefault("none"))
		followers := w.both(v)
		for _, f := range followers {
			f.gives("none")
			f.nothing()
		}
		w.set("one")
		for _, f := range followers {
			f.gives("one")
		}
	}},
	{"V1", "one-read", "calls Value.Get for a key that is absent, present, bad and deleted: each makes one read, and no watch", 0, func(w *world) {
		v, withDefault := w.value(), w.value(value.WithDefault("none"))
		ctx, cancel := w.Bounded()
		defer cancel()
		if got, err := v.Get(ctx); !errors.Is(err, kv.ErrNotFound) {
			w.Errorf("of an absent key Value.Get returned %v", gotten{value: got, err: err})
		}
		w.set("one")
		if got, err := v.Get(ctx); err != nil || got != "one" {
			w.Errorf("Value.Get returned %v, and the key is \"one\"", gotten{value: got, err: err})
		}
		if got, err := w.decoded(threes).Get(ctx); !errors.As(err, new(*value.DecodeError)) {
			w.Errorf("of a bad value Value.Get returned %v", gotten{value: got, err: err})
		}
		w.unset()
		if got, err := withDefault.Get(ctx); err != nil || got != "none" {
			w.Errorf("of a deleted key with a default Value.Get returned %v", gotten{value: got, err: err})
		}
		if n := w.faults.Counts(); n.Gets != 4 || n.Watches != 0 {
			w.Errorf("four calls of Value.Get were to the store: %v", n)
		}
	}},
}

// laterGetChecks are those of V2: what a watcher returns after that.
var laterGetChecks = []check{
	{"V2", "Simple", "puts one, gets it, puts two, gets it, puts three to six: Get comes to six", 0, func(w *world) {
		w.set("one")
		f := w.follow(w.value(), "of the newest")
		f.gives("one")
		w.set("two")
		f.gives("two")
		for _, text := range []string{"three", "four", "five", "six"} {
			w.set(text)
		}
		for last := kv.Revision(0); ; {
			got := f.begin().end()
			if got.err != nil || got.rev <= last {
				w.Fatalf("Get returned %v after revision %d, on the way to the last of four puts", got, last)
			}
			if last = got.rev; got.value == "six" {
				return
			}
		}
	}},
	{"V2", "waits", "gets while only other keys change, then puts: Get waits for the put, also if its bytes are the same as before", 0, func(w *world) {
		w.set("one")
		w.inEachMode(w.value(), func(f *follower) {
			f.gives("one")
			for _, text := range []string{"two", "two", "", "", "one"} {
				c := f.begin()
				w.streaming(1)
				w.setOther()
				w.Put(w.at+"/below", "v")
				c.waits()
				rev := w.set(text)
				if got := c.gives(text); got.rev != rev {
					w.Fatalf("the put of revision %d was returned as one of %d", rev, got.rev)
				}
				f.nothing()
			}
		})
	}},
	{"V2", "BacklogOnly", "calls TryGet, which never waits: it returns the value, then nothing new, and after a put the new value", 0, func(w *world) {
		w.set("one")
		v := w.value()
		followers := w.both(v)
		w.readOnce(v)
		for _, f := range followers {
			got, err := f.TryGet()
			if err != nil || got != "one" {
				w.Fatalf("TryGet of %s returned %v, and should return \"one\"", f.name, gotten{value: got, err: err})
			}
			f.nothing()
		}
		w.set("two")
		for _, f := range followers {
			f.gives("two")
		}
	}},
	{"V2", "Filter", "puts one to nine, and gets only values above five: a value that was skipped is not returned later", 0, func(w *world) {
		above5 := value.Where(func(text string) bool { return text > "5" })
		v := w.value()
		w.set("0")
		followers := w.both(v)
		for _, f := range followers {
			f.gives("0")
		}
		w.streaming(1)
		for i := '1'; i <= '9'; i++ {
			w.set(string(i))
		}
		for _, f := range followers {
			last := "5"
			for last != "9" {
				got := f.begin(above5).end()
				if got.err != nil || got.value <= last {
					w.Fatalf("Get of %s, of values above 5, returned %v after %q", f.name, got, last)
				}
				last = got.value
			}
			f.nothing()
		}
	}},
}
