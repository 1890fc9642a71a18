package value_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// mapWorld is a world with a Map of the keys that begin with the world's key and a slash. Tests also write the keys next to the range.
type mapWorld struct {
	*world
	in kv.Range
	m  *value.Map[string]
}

// eachMap runs a test of a Map on every store.
func eachMap(t *testing.T, promise string, test func(w *mapWorld)) {
	each(t, promise, func(w *world) {
		in := kv.Prefix(w.key + "/")
		m := value.NewMap(w.Store, in, strict, value.WithRetry(shortest, longest), value.WithCheck(0))
		w.neighbours()
		test(&mapWorld{w, in, m})
	})
}

// neighbours writes the keys nearest to the range.
func (w *world) neighbours() {
	for _, key := range []string{w.key, w.key + ".", w.key + ".\xff", w.key + "0", w.key + "\x00"} {
		_, err := w.backend.Put(w.Context(), key, []byte("a neighbour"))
		w.must(err)
	}
}

// set writes a key of the range, without the faults. unset deletes a key, and commit writes several keys in one revision.
func (w *mapWorld) set(key, v string) kv.Revision {
	w.Helper()
	r, err := w.backend.Put(w.Context(), w.key+"/"+key, []byte(v))
	w.must(err)
	return r
}

func (w *mapWorld) unset(key string) kv.Revision {
	w.Helper()
	r, err := w.backend.Delete(w.Context(), w.key+"/"+key)
	w.must(err)
	return r
}

func (w *mapWorld) commit(ops ...kv.Op) kv.Revision {
	w.Helper()
	for i := range ops {
		ops[i].Key = w.key + "/" + ops[i].Key
	}
	r, err := w.backend.(kv.Committer).Commit(w.Context(), ops...)
	w.must(err)
	return r
}

// holds requires that the next View holds want, in the form "a=1 b=2", and returns the View.
func (w *mapWorld) holds(from *valuetest.Watcher[value.View[string]], want string, opts ...value.GetOption[value.View[string]]) value.View[string] {
	w.Helper()
	v, err := from.Next(opts...)
	if err != nil {
		w.broken("Get returned %s, want a View that holds %s", valuetest.Describe(nil, err), want)
	}
	if got := w.text(v); got != want {
		w.broken("the View at revision %d holds %s, want %s", v.Revision(), got, want)
	}
	return v
}

func (w *mapWorld) text(v value.View[string]) string {
	var all []string
	for key, item := range v.All() {
		all = append(all, strings.TrimPrefix(key, w.key+"/")+"="+textOf(&item))
	}
	return strings.Join(all, " ")
}

// changed requires that a View has these changes, in the form "a:none->1".
func (w *mapWorld) changed(v value.View[string], want ...string) {
	w.Helper()
	var got []string
	for c := range v.Changes() {
		got = append(got, fmt.Sprintf("%s:%s->%s", strings.TrimPrefix(c.Key, w.key+"/"), textOf(c.Old), textOf(c.New)))
	}
	if d := cmp.Diff(want, got); d != "" {
		w.broken("the View at revision %d has other changes (-want +got):\n%s", v.Revision(), d)
	}
}

func TestM1TheFirstViewIsTheWholeRangeAtOnce(t *testing.T) {
	eachMap(t, "M1: the first View is the whole range as of a read begun after the call, and an empty View of an empty range, at once", func(w *mapWorld) {
		first := watch(w.world, w.m)
		if v := w.holds(first, ""); v.Len() != 0 {
			w.broken("an empty View has Len %d", v.Len())
		}
		w.Streaming(1)
		late := w.Hold(fault.Watches, fault.Answered)
		want := make([]string, 50)
		var last kv.Revision
		for i := range want {
			key := fmt.Sprintf("%02d", i)
			want[i] = key + "=1"
			last = w.set(key, "1")
		}
		second := watch(w.world, w.m)
		v := w.holds(second, strings.Join(want, " "))
		if v.Revision() < last || v.Len() != len(want) {
			w.broken("the first View is of revision %d and has %d keys, want %d keys and at least revision %d", v.Revision(), v.Len(), len(want), last)
		}
		late.Release()
		w.holds(first, strings.Join(want, " "))
	})
}

func TestM2NoViewShowsAPartOfACommit(t *testing.T) {
	eachMap(t, "M2: a View is exactly what the range held at its Revision, never half of a commit", func(w *mapWorld) {
		done := make(chan error, 1)
		go func() {
			for i := range 200 {
				both := []byte(fmt.Sprint(i))
				if _, err := w.backend.(kv.Committer).Commit(w.Context(), kv.PutOp(w.key+"/a", both), kv.PutOp(w.key+"/z", both)); err != nil {
					done <- err
					return
				}
				if i%50 == 25 {
					w.EndStreams(kv.ErrUnavailable)
				}
			}
			done <- nil
		}()
		newest, every := watch(w.world, w.m), watch(w.world, w.m, value.EveryUpdate())
		for _, from := range []*valuetest.Watcher[value.View[string]]{newest, every} {
			for last := ""; last != "199"; {
				v, err := from.Next()
				if err != nil {
					w.broken("Get returned %v", err)
				}
				a, _ := v.Get(w.key + "/a")
				z, _ := v.Get(w.key + "/z")
				if a.Value != z.Value || a.ModRevision != z.ModRevision {
					w.broken("the View at revision %d has %q of %d and %q of %d, but these keys were always committed together", v.Revision(), a.Value, a.ModRevision, z.Value, z.ModRevision)
				}
				last = a.Value
			}
		}
		w.must(<-done)
	})
}

func TestM3ChangesAddUp(t *testing.T) {
	eachMap(t, "M3: the View returned before, with Changes made, is this View; each key is in Changes once", func(w *mapWorld) {
		w.set("a", "1")
		w.set("b", "1")
		from := watch(w.world, w.m)
		w.changed(w.holds(from, "a=1 b=1"), "a:none->1", "b:none->1")
		w.set("a", "2")
		w.set("a", "3")
		w.set("c", "1")
		w.unset("c")
		w.unset("b")
		last := w.set("b", "4")
		newest := value.AtLeast[value.View[string]](last)
		w.changed(w.holds(from, "a=3 b=4", newest), "a:1->3", "b:1->4")
		last = w.commit(kv.PutOp("d", []byte("5")), kv.DeleteOp("a"), kv.PutOp("aa", []byte("5")))
		// A View that Where skips is not returned. So its changes come with the next View.
		never := value.Where(func(v value.View[string]) bool { return v.Len() != 3 })
		c := from.Begin(never)
		watch(w.world, w.m).Next(value.AtLeast[value.View[string]](last)) // now the Map has the View
		w.Settle()
		w.unset("aa")
		got := c.Got()
		v, err := got.Value, got.Err
		if err != nil {
			w.broken("Get returned %v", err)
		}
		w.changed(v, "a:3->none", "d:none->5")
		if in := v.In(kv.Prefix(w.key + "/d")); in.Len() != 1 {
			w.broken("a part of the View has %d keys, want one", in.Len())
		} else {
			w.changed(in, "d:none->5")
		}
	})
}

func TestM4RemovalsAreReportedAfterAnOutageAndCompaction(t *testing.T) {
	eachMap(t, "M4: removals are reported, also of keys that were deleted during an outage and whose deletion was compacted away; they come first", func(w *mapWorld) {
		for _, key := range []string{"b", "c", "d"} {
			w.set(key, "1")
		}
		newest, every := watch(w.world, w.m), watch(w.world, w.m, value.EveryUpdate())
		w.holds(newest, "b=1 c=1 d=1")
		w.holds(every, "b=1 c=1 d=1")
		w.Streaming(1)
		w.Cut()
		w.set("a", "2")
		w.unset("c")
		w.unset("d")
		w.must(w.backend.Compact(w.Context(), w.set("b", "2")))
		w.Heal()
		want := []string{"c:1->none", "d:1->none", "a:none->2", "b:1->2"}
		w.changed(w.holds(newest, "a=2 b=2"), want...)
		gap, ok := errors.AsType[*value.GapError](every.Fails(kv.ErrCompacted).Err)
		if !ok || gap.Key != "" || gap.Range != w.in {
			w.broken("the error is %#v, want a *GapError of the range", gap)
		}
		w.changed(w.holds(every, "a=2 b=2"), want...)
	})
}

func TestM5ABadValueAffectsOnlyItsKey(t *testing.T) {
	eachMap(t, "M5: the key's Item has the *DecodeError and the last good value, and all other keys are as they are", func(w *mapWorld) {
		good := w.set("a", "1")
		w.set("b", "1")
		from := watch(w.world, w.m)
		w.holds(from, "a=1 b=1")
		first := w.set("a", "bad")
		w.changed(w.holds(from, `a=bad after "1" b=1`), `a:1->bad after "1"`)
		second := w.commit(kv.PutOp("a", []byte("bad again")), kv.PutOp("b", []byte("2")), kv.PutOp("c", []byte("bad")))
		v := w.holds(from, `a=bad after "1" b=2 c=bad after ""`)
		item, _ := v.Get(w.key + "/a")
		bad, ok := errors.AsType[*value.DecodeError](item.Err)
		if !ok || bad.Key != w.key+"/a" || bad.Revision != second || item.ValueRevision != good || item.ModRevision != second || item.CreateRevision != good || item.Version != 3 {
			w.broken("the item is %+v (bad value %d before), want the error of revision %d and the value of %d", item, first, second, good)
		}
		if err := w.m.Status().BadValue; !errors.As(err, &bad) {
			w.broken("Status().BadValue is %v, want a *DecodeError", err)
		}
		w.unset("a")
		w.holds(from, `b=2 c=bad after ""`)
		w.commit(kv.PutOp("a", []byte("bad")), kv.PutOp("c", []byte("3")))
		w.holds(from, `a=bad after "" b=2 c=3`) // after a deletion there is no last good value
	})
}

func TestM6AnUnchangedItemIsNotAChangeAndNotDecodedAgain(t *testing.T) {
	each(t, "M6: after the range was read again, Changes has only what differs, and what did not change was not decoded again", func(w *world) {
		var decoded atomic.Int64
		m := value.NewMap(w.Store, kv.Prefix(w.key+"/"), func(b []byte) (*string, error) {
			decoded.Add(1)
			s := string(b)
			return &s, nil
		}, value.WithRetry(shortest, longest), value.WithCheck(0))
		mw := &mapWorld{w, kv.Prefix(w.key + "/"), nil}
		for i := range 20 {
			mw.set(fmt.Sprint(i), "1")
		}
		from := watch(w, m)
		before, err := from.Next()
		w.must(err)
		w.Streaming(1)
		w.Cut()
		mw.set("7", "2")
		mw.unset("8")
		w.must(w.backend.Compact(w.Context(), w.putOther2()))
		w.Heal()
		after, err := from.Next()
		w.must(err)
		var keys []string
		for c := range after.Changes() {
			keys = append(keys, strings.TrimPrefix(c.Key, w.key+"/"))
		}
		if d := cmp.Diff([]string{"8", "7"}, keys); d != "" {
			w.broken("other keys changed (-want +got):\n%s", d)
		}
		if n := decoded.Load(); n != 21 {
			w.broken("there were 20 values and one change, but the decoder was called %d times", n)
		}
		for key, item := range after.All() {
			if was, _ := before.Get(key); was.Value != item.Value && key != w.key+"/7" {
				w.broken("%q did not change, but was decoded again", key)
			}
		}
	})
}

// putOther2 writes a neighbour of the range.
func (w *world) putOther2() kv.Revision {
	w.Helper()
	r, err := w.backend.Put(w.Context(), w.key+"0", []byte("x"))
	w.must(err)
	return r
}

func TestM7AViewDoesNotChange(t *testing.T) {
	eachMap(t, "M7: Views are immutable, and may be read concurrently", func(w *mapWorld) {
		w.set("a", "1")
		w.set("b", "1")
		from := watch(w.world, w.m)
		one := w.holds(from, "a=1 b=1")
		ctx, stop := context.WithCancel(w.Context())
		done := make(chan string, 1)
		go func() {
			seen := "a=1 b=1"
			for ctx.Err() == nil && seen == "a=1 b=1" {
				seen = w.text(one)
				for range one.Changes() {
				}
			}
			done <- seen
		}()
		for i := range 50 {
			w.set("a", fmt.Sprint(i))
			w.unset("b")
			w.set("b", fmt.Sprint(i))
		}
		w.holds(from, "a=49 b=49", value.Where(func(v value.View[string]) bool { return w.text(v) == "a=49 b=49" }))
		stop()
		if seen := <-done; seen != "a=1 b=1" {
			w.broken("an earlier View has changed, and now holds %s", seen)
		}
		w.changed(one, "a:none->1", "b:none->1")
	})
}

func TestM8EveryRevisionIsOneView(t *testing.T) {
	eachMap(t, "M8: by default the changes that a slow reader has missed are merged; with EveryUpdate each revision is one View, in order", func(w *mapWorld) {
		w.set("a", "1")
		newest, every := watch(w.world, w.m), watch(w.world, w.m, value.EveryUpdate())
		w.holds(newest, "a=1")
		w.holds(every, "a=1")
		w.Streaming(1)
		w.set("b", "1")
		w.commit(kv.DeleteOp("a"), kv.PutOp("c", []byte("1")))
		w.unset("b")
		last := w.set("b", "2")
		w.changed(w.holds(newest, "b=2 c=1", value.AtLeast[value.View[string]](last)), "a:1->none", "b:none->2", "c:none->1")
		newest.HasNothing()
		w.changed(w.holds(every, "a=1 b=1"), "b:none->1")
		w.changed(w.holds(every, "b=1 c=1"), "a:1->none", "c:none->1")
		w.changed(w.holds(every, "c=1"), "b:1->none")
		w.changed(w.holds(every, "b=2 c=1"), "b:none->2")
		every.HasNothing()
	})
}

func TestM8AReaderFarBehindReadsTheStoresHistory(t *testing.T) {
	each(t, "M8: a watcher for EveryUpdate that is further behind than the backlog has each revision from the store's own history", func(w *world) {
		in := kv.Prefix(w.key + "/")
		m := value.NewMap(w.Store, in, strict, value.WithBacklog(4), value.WithRetry(shortest, longest))
		mw := &mapWorld{w, in, m}
		mw.set("a", "0")
		every, quick := watch(w, m, value.EveryUpdate()), watch(w, m)
		mw.holds(every, "a=0")
		mw.holds(quick, "a=0")
		w.Streaming(1)
		var last kv.Revision
		for i := range 50 {
			last = mw.set(string(rune('a'+i%5)), fmt.Sprint(i))
			mw.holds(quick, mw.expect(i), value.AtLeast[value.View[string]](last))
		}
		for i := range 50 {
			v := mw.holds(every, mw.expect(i))
			n := 0
			for range v.Changes() {
				n++
			}
			if n != 1 {
				w.broken("the View of one put has %d changes", n)
			}
		}
		every.HasNothing()
	})
}

// expect returns what the range holds after put i of the test above.
func (w *mapWorld) expect(i int) string {
	var all []string
	for k := range min(i+1, 5) {
		all = append(all, fmt.Sprintf("%c=%d", 'a'+k, i-(i-k)%5))
	}
	return strings.Join(all, " ")
}

func TestABundleShowsKeysOfOneCommitTogether(t *testing.T) {
	each(t, "keys of a bundle that are always committed together are never seen apart", func(w *world) {
		type pair struct{ a, b string }
		v := value.NewBundle(w.Store, kv.Prefix(w.key+"/"), func(entries []kv.Entry) (pair, error) {
			if len(entries) != 2 {
				return pair{}, fmt.Errorf("%d entries", len(entries))
			}
			return pair{string(entries[0].Value), string(entries[1].Value)}, nil
		}, value.WithRetry(shortest, longest))
		w.neighbours()
		from := watch(w, v)
		commits := 500
		done := make(chan error, 1)
		go func() {
			for i := range commits {
				both := []byte(fmt.Sprint(i))
				if _, err := w.backend.(kv.Committer).Commit(w.Context(), kv.PutOp(w.key+"/a", both), kv.PutOp(w.key+"/b", both)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		for last := fmt.Sprint(commits - 1); ; {
			p, err := from.Next()
			if err != nil || p.a != p.b {
				w.broken("Get returned %+v, %v", p, err)
			}
			if p.a == last {
				break
			}
		}
		w.must(<-done)
		_, err := w.backend.(kv.Committer).Commit(w.Context(), kv.DeleteOp(w.key+"/a"))
		w.must(err)
		if _, ok := errors.AsType[*value.DecodeError](wantDecodeErrorOf(w, from)); !ok {
			w.broken("half of a bundle is no *DecodeError")
		}
		_, err = w.backend.Delete(w.Context(), w.key+"/b")
		w.must(err)
		from.Fails(value.ErrDeleted)
	})
}

func wantDecodeErrorOf[T any](w *world, from *valuetest.Watcher[T]) error {
	_, err := from.Next()
	return err
}
