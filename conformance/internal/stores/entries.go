package stores

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// entryChecks are the checks of S3 and S4: the metadata of entries, and ranges without entries.
var entryChecks = []check{
	{"S3", "put-delete-put", "puts two keys in turns, deletes them and puts them again, and gets them after each step, separately and together", 0, func(e *env) {
		a, b := e.Key("a"), e.Key("b")
		for _, step := range []func() kv.Revision{
			func() kv.Revision { return e.Put(a, "1") },
			func() kv.Revision { return e.Put(b, "1") },
			func() kv.Revision { return e.Put(a, "2") },
			func() kv.Revision { return e.Put(a, "2") }, // the same value is a change too
			func() kv.Revision { return e.Delete(a) },
			func() kv.Revision { return e.Put(a, "3") },
			func() kv.Revision { return e.Put(b, "2") },
			func() kv.Revision { return e.Put(a, "4") },
			func() kv.Revision { return e.Delete(b) },
			func() kv.Revision { return e.Delete(a) },
			func() kv.Revision { return e.Put(a, "5") },
			func() kv.Revision { return e.Put(b, "3") },
		} {
			step()
			for _, r := range []kv.Range{e.All(), kv.Key(a), kv.Key(b), kv.Interval(a, b+"\x00")} {
				e.ExpectSnapshot(r, e.Get(r))
			}
		}
	}},
	{"S3", "commit", "puts some new, some existing and some deleted keys in each of several commits, gets them and watches", suite.Commit, func(e *env) {
		a, b, c := e.Key("a"), e.Key("b"), e.Key("c")
		start := e.Get(e.All()).Revision
		live := e.Watch(e.All(), start)
		for _, ops := range [][]kv.Op{
			{kv.PutOp(a, []byte("1")), kv.PutOp(b, []byte("1"))},
			{kv.PutOp(b, []byte("2")), kv.PutOp(c, []byte("1"))},
			{kv.DeleteOp(a), kv.PutOp(b, []byte("3")), kv.DeleteOp(c)},
			{kv.PutOp(c, []byte("2")), kv.PutOp(a, []byte("2")), kv.DeleteOp(b)},
			{kv.PutOp(b, []byte("4"))},
		} {
			live.Through(e.Commit(ops...))
			e.ExpectSnapshot(e.All(), e.Get(e.All()))
		}
		live.ExpectAll()
		e.Watch(e.All(), start).Through(e.Ledger.Last()).ExpectAll()
	}},
	{"S3", "conditional-puts", "puts a key on conditions that hold, before and after its deletion", 0, func(e *env) {
		key := e.Key("k")
		rev := e.Put(key, "1", kv.IfAbsent())
		rev = e.Put(key, "2", kv.IfRevision(rev))
		rev = e.Put(key, "3", kv.IfRevision(rev))
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		e.Delete(key, kv.IfRevision(rev))
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		rev = e.Put(key, "4", kv.IfAbsent())
		e.Put(key, "5", kv.IfRevision(rev))
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"S3", "events", "puts, deletes and puts keys again, and watches live and from before: events of puts have the same metadata, and events of deletions have only key and revision", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		a, b := e.Key("a"), e.Key("b")
		live, single := e.Watch(e.All(), start), e.Watch(kv.Key(a), start)
		e.Put(a, "1")
		e.Put(b, "1")
		e.Put(a, "2")
		e.Delete(a)
		e.Put(a, "3")
		e.Delete(b)
		last := e.Put(a, "4")
		live.Through(last).ExpectAll()
		single.Through(last).ExpectAll()
		e.Watch(e.All(), start).Through(last).ExpectAll()
		e.Watch(kv.Key(a), start).Through(last).ExpectAll()
	}},
	{"S3", "many-puts", "eight writers concurrently put one key, seventy times in all, and others of their keys together if the store can commit: each put adds one to the version", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		live := e.Watch(e.All(), start)
		e.Parallel(8, func(n int) error {
			for i := range 9 {
				_, err := e.TryPut(e.Store, e.Key("k"), fmt.Sprint(n, " ", i))
				if err == nil && i%3 == 0 && e.Backend.Commit {
					_, err = e.TryCommit(e.Store, kv.PutOp(e.Key("a"), fmt.Append(nil, n, i)), kv.PutOp(e.Key("b"), fmt.Append(nil, n, i)))
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		last := e.Put(e.Key("last"), "v")
		live.Through(last).ExpectAll()
		e.Watch(e.All(), start).Through(last).ExpectAll()
	}},
	{"S4", "never-there", "gets a key, a prefix and an interval that never had an entry", 0, func(e *env) {
		last := e.Put(e.Key("other"), "v")
		for _, r := range []kv.Range{
			kv.Key(e.Key("k")), kv.Prefix(e.Key("k")), kv.Interval(e.Key("k"), e.Key("l")),
		} {
			e.expectAbsent(r, last)
		}
	}},
	{"S4", "deleted", "gets a key, a prefix and an interval whose entries were all deleted", 0, func(e *env) {
		e.Put(e.Key("k"), "v")
		e.Put(e.Key("k2"), "v")
		e.Delete(e.Key("k"))
		last := e.Delete(e.Key("k2"))
		for _, r := range []kv.Range{
			kv.Key(e.Key("k")), kv.Prefix(e.Key("k")), kv.Interval(e.Key("k"), e.Key("l")),
		} {
			e.expectAbsent(r, last)
		}
	}},
	{"S4", "watch-from-absence", "watches after the revision of an empty snapshot, and creates the key", 0, func(e *env) {
		e.Put(e.Key("other"), "v")
		key := e.Key("k")
		start := e.Get(kv.Key(key)).Revision
		w := e.Watch(kv.Key(key), start)
		w.Through(e.Put(key, "v")).ExpectAll()
	}},
	{"S4", "get-key", "calls kv.GetKey for an absent key and for a present key", 0, func(e *env) {
		rev := e.Put(e.Key("there"), "v")
		ctx, cancel := e.Bounded()
		defer cancel()
		if entry, err := kv.GetKey(ctx, e.Store, e.Key("k")); !errors.Is(err, kv.ErrNotFound) {
			e.Errorf("kv.GetKey of an absent key returned %v, %v, not kv.ErrNotFound", entry, err)
		}
		if entry, err := kv.GetKey(ctx, e.Store, e.Key("there")); err != nil || entry.ModRevision != rev || string(entry.Value) != "v" {
			e.Errorf("kv.GetKey of a key put at revision %d returned %v, %v", rev, entry, err)
		}
	}},
}

// expectAbsent requires that r is empty, at revision last or later.
func (e *env) expectAbsent(r kv.Range, last kv.Revision) {
	got, err := e.TryGet(e.Store, r)
	if err != nil {
		e.Errorf("get of an empty range failed: %v", err)
		return
	}
	e.expectNothing("get", r, got, last)
}

// expectNothing requires that got is the snapshot of the empty range r, at revision last or later.
func (e *env) expectNothing(what string, r kv.Range, got kv.Snapshot, last kv.Revision) {
	switch {
	case len(got.Entries) != 0:
		e.Errorf("%s %s, which is empty, returned %d entries", what, e.ShortRange(r), len(got.Entries))
	case got.Entries != nil:
		e.Errorf("%s %s, which is empty, returned Entries that are empty but not nil", what, e.ShortRange(r))
	case got.Revision < last:
		e.Errorf("%s %s, which is empty, returned revision %d, but the store is at %d: a watch after it would deliver the past",
			what, e.ShortRange(r), got.Revision, last)
	}
}

// edgeKeys returns keys at the edges of edgeRanges, and some outside them.
func edgeKeys(p string) []string {
	return []string{
		p + "a", p + "a\x00", p + "a\x00\x00", p + "a/", p + "aa", p + "a\xfe", p + "a\xff", p + "a\xff\x00", p + "a\xff\xff", p + "a\xff\xffz",
		p + "b", p + "b\x00", p + "bb", p + "c", p + "A", p + "\x00", p + "\xff", p + "\xff\xff",
		"\xff" + p, "\xff\xff" + p, "\xfe" + p, "\x00" + p,
		// characters with a meaning in the patterns of some stores, and keys that such patterns would match
		p + "w_x", p + "w%x", p + "w*x", p + "w?x", p + "w.x", p + "w>x", p + "w[y]x", p + `w\x`, p + "wyx", p + "wyyx", p + "wx", p + "w/y/x",
	}
}

// edgeRanges returns ranges of every kind that hold some of edgeKeys.
func edgeRanges(p string) []kv.Range {
	return []kv.Range{
		kv.Key(p + "a"), kv.Key(p + "a\x00"), kv.Key(p + "a\xff"),
		kv.Prefix(p + "a"), kv.Prefix(p + "a/"), kv.Prefix(p + "a\x00"), kv.Prefix(p + "a\xff"), kv.Prefix(p + "a\xff\xff"), kv.Prefix(p + "\xff"), kv.Prefix(p),
		kv.Prefix("\xff" + p), kv.Prefix("\xff"), kv.Prefix("\xff\xff"), kv.Prefix(""),
		kv.Interval(p+"a", p+"b"), kv.Interval(p+"a\x00", p+"b\x00"), kv.Interval(p+"a", p+"a\x00"), kv.Interval(p+"a/", p+"a\xff"),
		kv.Interval("", p+"b"), kv.Interval(p+"b", "\xff\xff\xff"),
		kv.All(),
		kv.Prefix(p + "w_"), kv.Prefix(p + "w%"), kv.Prefix(p + "w*"), kv.Prefix(p + "w?"), kv.Prefix(p + "w."), kv.Prefix(p + "w>"), kv.Prefix(p + "w["),
		kv.Prefix(p + "w[y]"), kv.Prefix(p + `w\`), kv.Key(p + "w_x"), kv.Key(p + "w%x"), kv.Key(p + "w*x"), kv.Key(p + "w?x"), kv.Key(p + "w[y]x"),
	}
}
