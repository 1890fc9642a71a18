package events

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// writes are some that make every kind of event, and none.
var writes = [][]kv.Op{
	{kv.PutOp("a", []byte("1"))},
	{kv.DeleteOp("b")},
	{kv.PutOp("a", []byte("2")), kv.PutOp("b", []byte("1"))},
	{kv.DeleteOp("a"), kv.PutOp("b", []byte("2")), kv.DeleteOp("c")},
	{kv.PutOp("a", nil)},
}

// written is a store that has done the writes, and the list of their events.
func written(t *testing.T) (*memory.Store, List) {
	t.Helper()
	store, l := memory.New(), List(nil)
	rev := kv.Revision(1)
	for _, ops := range writes {
		made := Written(l.Entries(), rev+1, ops...)
		if len(made) > 0 {
			rev++
		}
		if got, err := store.Commit(t.Context(), ops...); err != nil || got != rev {
			t.Fatalf("the store is at %d (%v), the list at %d", got, err, rev)
		}
		l = append(l, made...)
	}
	return store, l
}

func TestTheListEqualsTheHistoryOfTheStore(t *testing.T) {
	store, l := written(t)
	got, err := Read(t.Context(), store, kv.All(), 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l, got); diff != "" {
		t.Errorf("the list is not the store's history (-list +store):\n%s", diff)
	}
	snapshot, err := store.Get(t.Context(), kv.Prefix("b"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(snapshot.Entries, Sorted(l.In(kv.Prefix("b")).Entries())); diff != "" {
		t.Errorf("what exists is not what the store has (-store +list):\n%s", diff)
	}
}

func TestPartsOfAList(t *testing.T) {
	_, l := written(t)
	for rev, before := range map[kv.Revision]int{0: 0, 1: 0, 2: 1, 3: 3, 4: 5, 5: 6, 9: 6} {
		if up, after := l.UpTo(rev), l.After(rev); len(up) != before || len(after) != len(l)-before {
			t.Errorf("%d events are up to revision %d and %d after it, want %d of %d", len(up), rev, len(after), before, len(l))
		}
	}
	a := l.ByKey()["a"]
	if diff := cmp.Diff(a, l.In(kv.Key("a"))); diff != "" || len(a) != 4 {
		t.Errorf("the events of a are %v; otherwise selected (-by key +in):\n%s", a, diff)
	}
	for rev, want := range map[kv.Revision]kv.Entry{
		1: {},
		2: {Key: "a", Value: []byte("1"), CreateRevision: 2, ModRevision: 2, Version: 1},
		3: {Key: "a", Value: []byte("2"), CreateRevision: 2, ModRevision: 3, Version: 2},
		4: {},
		5: {Key: "a", CreateRevision: 5, ModRevision: 5, Version: 1},
	} {
		if diff := cmp.Diff(want, a.UpTo(rev).Last()); diff != "" {
			t.Errorf("at revision %d (-want +got):\n%s", rev, diff)
		}
	}
}

func TestReadRetriesUntilItIsComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		under, l := written(t)
		store := fault.New(under)
		store.Fail(3, kv.ErrUnavailable, fault.Watches)
		got, err := Read(t.Context(), store, kv.All(), 1, 4)
		if diff := cmp.Diff(l.UpTo(4), got); err != nil || diff != "" {
			t.Errorf("Read returned the error %v, and (-want +got):\n%s", err, diff)
		}
		store.Fail(1, kv.ErrPermission, fault.Watches)
		if _, err := Read(t.Context(), store, kv.All(), 1, 4); !errors.Is(err, kv.ErrPermission) {
			t.Errorf("Read returned the error %v, want that of the store", err)
		}
		if _, err := Read(t.Context(), silent{under}, kv.All(), 1, 4); err == nil {
			t.Error("a watch that ended without an error was taken for all there is")
		}
	})
}

// silent is a store whose watches end without an error.
type silent struct{ kv.Store }

func (silent) Watch(context.Context, kv.Range, kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(func(kv.Batch, error) bool) {}
}

func TestAFollowerResumesAfterItsLastEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		under := memory.New()
		store := fault.New(under)
		f := Follow(t.Context(), store, kv.Key("a"), 1, 2)
		var last kv.Revision
		for i := range 9 {
			var err error
			if last, err = under.Put(t.Context(), "a", []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // longer than it waits after a failure
			if i%4 == 0 {
				store.EndStreams(kv.ErrUnavailable)
			}
		}
		if err := f.Await(t.Context(), last); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := f.Await(ctx, last+1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Await returned %v where nothing comes", err)
		}
		segments := f.Stop()
		var all List
		after := kv.Revision(1)
		for i, s := range segments {
			if s.After != after {
				t.Errorf("segment %d begins after %d, want %d", i, s.After, after)
			}
			if n := len(s.Batches); n > 2 {
				t.Errorf("segment %d has %d batches, want 2 at most", i, n)
			} else if n > 0 {
				after = s.Batches[n-1].Revision
			}
			all = append(all, s.Events()...)
		}
		if len(all) != 9 || len(segments) < 5 {
			t.Errorf("%d events came in %d segments, want 9 in 5 or more", len(all), len(segments))
		}
	})
}

func TestAFollowerOfOneWatchEndsWithThatWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		under, _ := written(t)
		store := fault.New(under)
		f := FollowOnce(t.Context(), store, kv.All(), 1)
		if err := f.Await(t.Context(), 5); err != nil {
			t.Error(err)
		}
		store.EndStreams(kv.ErrReset)
		if err := f.Await(t.Context(), 6); !errors.Is(err, ErrEnded) {
			t.Errorf("Await returned %v of a watch that has ended", err)
		}
		if s := f.Stop(); len(s) != 1 || len(s[0].Events()) != 6 || !errors.Is(s[0].Err, kv.ErrReset) {
			t.Errorf("it has noted %+v", s)
		}
	})
}
