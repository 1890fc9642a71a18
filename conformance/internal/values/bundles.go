package values

import (
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// bundleChecks are the checks of bundles. V1 to V16 hold for a bundle, with "the range" for "the key".
var bundleChecks = []check{
	{"M2", "bundle", "commits two keys together, many times, while the watch is ended: a bundle never has one without the other", suite.Commit, func(e *env) {
		e.neighbours("0")
		ops := func(v string) []kv.Op {
			return []kv.Op{kv.PutOp(e.in("a"), []byte(v)), kv.PutOp(e.in("b"), []byte(v))}
		}
		e.Commit(ops("first")...)
		followers := e.both(e.newBundle())
		others := e.Traffic(1, func(_, i int) error {
			_, err := e.TryCommit(e.Store, ops(fmt.Sprint(i))...)
			return err
		})
		for i := range 16 {
			others.More()
			for _, f := range followers {
				got := f.Begin().Got()
				a, b, _ := strings.Cut(got.Value, " ")
				if got.Err != nil || strings.TrimPrefix(a, "a=") != strings.TrimPrefix(b, "b=") {
					e.Fatalf("Get of %s returned %v, but both keys were always committed together", f.Name, got)
				}
			}
			if i%5 == 4 {
				e.faults.EndStreams(kv.ErrUnavailable)
			}
		}
		others.Stop()
		last := e.Commit(ops("last")...)
		followers[0].Gives("a=last b=last", value.AtLeast[string](last))
	}},
	{"V1", "bundle", "watches a bundle of an empty range: the first Get waits for the first key, or returns the default if there is one", 0, func(e *env) {
		e.neighbours("0")
		followers := e.both(e.newBundle())
		e.follow(e.newBundle(value.WithDefault("none")), "the watcher with a default").Gives("none")
		calls := beginAll(followers)
		e.Streaming(2)
		e.neighbours("1")
		callsWait(calls)
		e.Put(e.in("a"), "1")
		callsGive(calls, "a=1")
		e.Put(e.in("b"), "1")
		allGive(followers, "a=1 b=1")
	}},
	{"V6", "bundle", "deletes the keys of a bundle one by one: only the deletion of the last key is reported", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		e.Put(e.in("b"), "1")
		followers := e.both(e.newBundle())
		allGive(followers, "a=1 b=1")
		e.Delete(e.in("a"))
		allGive(followers, "b=1")
		e.Delete(e.in("b"))
		for _, f := range followers {
			f.Fails(value.ErrDeleted)
			f.HasNothing()
		}
		e.Put(e.in("b"), "2")
		allGive(followers, "b=2")
	}},
	{"V7", "bundle", "puts a bad value of one key of a bundle: Get returns a DecodeError of the range, Latest is the last good bundle, and the next good bundle arrives", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		e.Put(e.in("b"), "1")
		v := e.newBundle()
		followers := e.both(v)
		allGive(followers, "a=1 b=1")
		e.Streaming(1)
		rev := e.Put(e.in("b"), "bad")
		for _, f := range followers {
			got := f.Begin().Got()
			if bad, ok := asDecodeError(got.Err); !ok || bad.Revision != rev || bad.Key != "" || bad.Range != e.part() {
				e.Fatalf("Get of %s returned %v, want a *DecodeError of the range at revision %d", f.Name, got, rev)
			}
			f.HasNothing()
		}
		if r, ok := v.Latest(); !ok || r.Value != "a=1 b=1" {
			e.Fatalf("the newest bundle is bad, but Latest is %q (%v)", r.Value, ok)
		}
		e.Put(e.in("b"), "2")
		allGive(followers, "a=1 b=2")
	}},
}
