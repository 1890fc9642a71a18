package stores

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// byteChecks are the checks of S5 and S6: who owns bytes, and which bytes can be stored.
var byteChecks = []check{
	{"S5", "given-to-put", "changes the slice after Put has returned, and not before: Put does not change it either", 0, func(e *env) {
		key, start := e.Key("k"), e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		value, unchanged := e.given("as it was put")
		rev, err := e.Write("put "+e.Short(key)+" from a slice", func(ctx context.Context) (kv.Revision, error) {
			return e.Store.Put(ctx, key, value)
		}, kv.PutOp(key, bytes.Clone(value)))
		e.Must("put", err)
		unchanged("Put")
		e.scribble(value)
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		w.Through(rev).ExpectAll()
		e.Watch(e.All(), start).Through(rev).ExpectAll()
	}},
	{"S5", "given-to-commit", "changes the slices after Commit has returned, and not before: Commit does not change them either", suite.Commit, func(e *env) {
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		one, unchanged := e.given("one")
		two, unchangedToo := e.given("two")
		rev := e.Commit(kv.PutOp(e.Key("1"), one), kv.PutOp(e.Key("2"), two))
		unchanged("Commit")
		unchangedToo("Commit")
		e.scribble(one)
		e.scribble(two)
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		w.Through(rev).ExpectAll()
		e.Watch(e.All(), start).Through(rev).ExpectAll()
	}},
	{"S5", "got-from-get", "changes the values of one snapshot: neither an earlier snapshot nor a later one changes", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		e.Put(e.Key("1"), "one")
		last := e.Put(e.Key("2"), "two")
		first, second := e.Get(e.All()), e.Get(e.All())
		single := e.Get(kv.Key(e.Key("1")))
		e.scribbleAll(first)
		e.ExpectSnapshot(e.All(), second)
		e.ExpectSnapshot(kv.Key(e.Key("1")), single)
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		e.ExpectSnapshot(kv.Key(e.Key("1")), e.Get(kv.Key(e.Key("1"))))
		e.Watch(e.All(), start).Through(last).ExpectAll()
	}},
	{"S5", "got-from-get-of-one-key", "gets two keys separately, in turns, and changes the returned values: neither the values that were returned before nor the stored values change", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		one, two := kv.Key(e.Key("1")), kv.Key(e.Key("2"))
		e.Put(e.Key("1"), "one")
		last := e.Put(e.Key("2"), "two")
		kept, other, changed := e.Get(one), e.Get(two), e.Get(one)
		e.ExpectSnapshot(one, kept)
		e.scribbleAll(changed)
		for range 2 {
			e.ExpectSnapshot(one, kept)
			e.ExpectSnapshot(two, other)
			kept, other = e.Get(one), e.Get(two)
		}
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		e.Watch(e.All(), start).Through(last).ExpectAll()
	}},
	{"S5", "appended-to", "appends to each value of a snapshot and of a watch's batches: the other values do not change", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		live := e.Watch(e.All(), start)
		for i := range 5 {
			e.Put(e.Key(fmt.Sprint(i)), fmt.Sprint("value ", i))
		}
		last := e.Ledger.Last()
		got := e.Get(e.All())
		for _, entry := range got.Entries {
			e.append(entry.Value)
		}
		e.ExpectSnapshot(e.All(), got)
		for _, w := range []*suite.Watching{live.Through(last), e.Watch(e.All(), start).Through(last)} {
			for _, event := range w.Events() {
				e.append(event.Value)
			}
			w.ExpectAll()
		}
	}},
	{"S5", "large-values", "changes a large value after it was put, got, or delivered by a watch: neither the stored value nor the values of others change", 0, func(e *env) {
		key, start := e.Key("k"), e.Get(e.All()).Revision
		w, other := e.Watch(e.All(), start), e.Watch(e.All(), start)
		value := bytes.Repeat([]byte{'v'}, 128<<10)
		rev, err := e.Write("put "+e.Short(key)+" from a large slice", func(ctx context.Context) (kv.Revision, error) {
			return e.Store.Put(ctx, key, value)
		}, kv.PutOp(key, bytes.Clone(value)))
		e.Must("put", err)
		e.scribble(value)
		w.Through(rev).ExpectAll()
		got, single := e.Get(e.All()), e.Get(kv.Key(key))
		e.ExpectSnapshot(e.All(), got)
		for _, snapshot := range []kv.Snapshot{got, single} {
			e.scribbleAll(snapshot)
		}
		for _, event := range w.Events() {
			e.scribble(event.Value)
		}
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		e.ExpectSnapshot(kv.Key(key), e.Get(kv.Key(key)))
		other.Through(rev).ExpectAll()
		e.Watch(e.All(), start).Through(rev).ExpectAll()
	}},
	{"S5", "got-from-events", "changes the values in one watch's events: neither another watch nor a later read sees the change", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		w, other, single := e.Watch(e.All(), start), e.Watch(e.All(), start), e.Watch(kv.Key(e.Key("1")), start)
		one := e.Put(e.Key("1"), "one")
		last := e.Put(e.Key("2"), "two")
		for _, event := range w.Through(last).Events() {
			e.scribble(event.Value)
		}
		other.Through(last).ExpectAll()
		single.Through(one).ExpectAll()
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		e.Watch(e.All(), start).Through(last).ExpectAll()
	}},
	{"S5", "two-watches-of-the-past", "changes the values in events of the past that one watch delivered: another watch, which read the same events, does not see the change", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		e.Put(e.Key("1"), "one")
		last := e.Put(e.Key("2"), "two")
		w, other := e.Watch(e.All(), start).Through(last), e.Watch(e.All(), start).Through(last)
		for _, event := range w.Events() {
			e.scribble(event.Value)
		}
		other.ExpectAll()
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		e.Watch(e.All(), start).Through(last).ExpectAll()
	}},
	{"S5", "batch-by-batch", "changes each batch before it reads the next one, while another watch keeps its batches: no other batch changes", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		kept, changed := e.Watch(e.All(), start), e.Watch(e.All(), start)
		var got []kv.Event
		for i := range 6 {
			rev := e.Put(e.Key(fmt.Sprint(i%3)), fmt.Sprint("value ", i))
			kept.Through(rev)
			got = append(got, e.takeThrough(changed, rev)...)
		}
		last := e.Ledger.Last()
		kept.ExpectAll()
		kept.ExpectEvents(got, start, last)
		// Now the same events as the past. They may be delivered in one batch, or in several batches that share a buffer.
		past := e.Watch(e.All(), start)
		past.ExpectEvents(e.takeThrough(past, last), start, last)
		kept.ExpectAll()
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"S6", "keys", "puts, gets, watches and deletes keys of unusual bytes, each separately and all together", 0, func(e *env) {
		var keys []string
		for _, odd := range []string{
			"\x00", "\x00\x00", "a\x00b", "\xff", "\xff\xff", "a\xffb", "/", "//", "/a//b/", "../x", " ", "\n", "%", "*", ">", ".", "$",
			"%41", "%2F", "+", "a?b", "#", "\\", `\x41`, "'", `"`, "_", "[k]", "{k}", "\r\n", "k ", "e\u0301",
			"\\\\", "''", `""`, "%25", "%%", ":", "a:b", "a/b", "a/./b", "a/../b", "./a", "a/", "a//", "&", "=", ";", ",", "|", "!", "@", "~", "-", "$$", "{{k}}",
			"\t", "k\t", " k", "k\x00", "k.", ".k", "..", "\ufeffk", "\ufb01", "fi", "\u00df", "ss", "É", "\u212a", "\u0130", "\U0001f600", "\x7f", "\x80", "\xed\xa0\x80",
			"é", "\xc3\x28", "日本語", strings.Repeat("k", 1024-len(e.Prefix)), strings.Repeat("k", 1023-len(e.Prefix)) + "l", strings.Repeat("\xff", 1024-len(e.Prefix)), "K", "k",
		} {
			keys = append(keys, e.Key(odd))
		}
		keys = append(keys, "\x00"+e.Prefix, "\xff"+e.Prefix, "\xff\xff\xff"+e.Prefix, "/"+e.Prefix, " "+e.Prefix, "\n"+e.Prefix, "\ufeff"+e.Prefix)
		start := e.Get(e.All()).Revision
		w := e.Watch(kv.All(), start)
		var single []*suite.Watching
		for _, key := range keys {
			single = append(single, e.Watch(kv.Key(key), start))
		}
		for _, key := range keys {
			e.Put(key, "first of "+key)
		}
		for _, key := range keys {
			e.ExpectSnapshot(kv.Key(key), e.Get(kv.Key(key)))
		}
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		for i, key := range keys {
			if i%2 == 0 {
				e.Delete(key)
			}
		}
		last := e.Put(e.Key("last"), "v")
		w.Through(last).ExpectAll()
		for _, w := range single {
			events := e.Ledger.EventsAfter(w.R, start)
			w.Through(events[len(events)-1].ModRevision).ExpectAll()
		}
		for _, key := range keys {
			e.ExpectSnapshot(kv.Key(key), e.Get(kv.Key(key)))
		}
	}},
	{"S6", "values", "puts, gets and watches values of any bytes, empty values, and values of a megabyte", 0, func(e *env) {
		var every [256]byte
		for i := range every {
			every[i] = byte(i)
		}
		start := e.Get(e.All()).Revision
		w := e.Watch(e.All(), start)
		var last kv.Revision
		for i, value := range []string{
			"", "\x00", "\xff", "null", " ", "\n", `\`, `\\`, `\x41`, `\101`, "%41", "dg==", `"v"`, "'", "\r\n", "\ufeffv", "007", "1e3", "true", `{"b": 1, "a" : 1.0}`, " v ", "v\n", "v\x00", "%25", "a+b", "&amp;", "\u00df", string(every[:]), "\xc3\x28", strings.Repeat("m", 1<<20), "", strings.Repeat("\x00", 1<<20), "",
		} {
			last = e.Put(e.Key("same"), value)
			if i%2 == 0 {
				last = e.Put(e.Key("key "+string(rune('A'+i))), value)
			}
			e.ExpectSnapshot(e.All(), e.Get(e.All()))
		}
		w.Through(last).ExpectAll()
		e.Watch(e.All(), start).Through(last).ExpectAll()
	}},
	{"S6", "long-key-and-large-value", "puts a value of a megabyte at a key of a kilobyte, gets it and watches it", 0, func(e *env) {
		key := e.Key(strings.Repeat("k", 1024-len(e.Prefix)))
		w := e.Watch(kv.Key(key), e.Get(kv.Key(key)).Revision)
		rev := e.Put(key, strings.Repeat("m", 1<<20))
		e.ExpectSnapshot(kv.Key(key), e.Get(kv.Key(key)))
		w.Through(rev).ExpectAll()
	}},
	{"S6", "large-value-in-a-commit", "commits a value of a megabyte at a key of a kilobyte, gets it and watches it", suite.Commit, func(e *env) {
		key := e.Key(strings.Repeat("k", 1024-len(e.Prefix)))
		w := e.Watch(kv.Key(key), e.Get(kv.Key(key)).Revision)
		rev := e.Commit(kv.PutOp(key, bytes.Repeat([]byte{'m'}, 1<<20)))
		e.ExpectSnapshot(kv.Key(key), e.Get(kv.Key(key)))
		w.Through(rev).ExpectAll()
	}},
	{"S6", "nil-value", "puts a nil value: the key exists, and its value is empty", 0, func(e *env) {
		key := e.Key("k")
		_, err := e.Write("put nil", func(ctx context.Context) (kv.Revision, error) {
			return e.Store.Put(ctx, key, nil)
		}, kv.PutOp(key, nil))
		e.Must("put of a nil value", err)
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"S6", "empty-key", "gets, watches, puts and deletes the empty key: each call fails with ErrInvalidKey, and nothing is written", 0, func(e *env) {
		before := e.Get(e.All()).Revision
		_, err := e.TryGet(e.Store, kv.Key(""))
		e.expectError("get", err, kv.ErrInvalidKey)
		e.expectError("watch", e.Watch(kv.Key(""), before).UntilEnd(), kv.ErrInvalidKey)
		_, err = e.TryPut(e.Store, "", "v")
		e.expectError("put", err, kv.ErrInvalidKey)
		_, err = e.TryDelete(e.Store, "")
		e.expectError("delete", err, kv.ErrInvalidKey)
		if e.Backend.Commit {
			_, err = e.TryCommit(e.Store, kv.PutOp(e.Key("k"), []byte("v")), kv.PutOp("", nil))
			e.expectError("commit", err, kv.ErrInvalidKey)
			_, err = e.TryCommit(e.Store, kv.PutOp(e.Key("k"), []byte("v")), kv.DeleteOp(""))
			e.expectError("commit of a deletion", err, kv.ErrInvalidKey)
		}
		e.expectUnchanged(before)
	}},
}

// given returns a slice with text, to be given to a store. unchanged requires that neither the slice nor what is behind it, up to its
// capacity, has changed.
func (e *env) given(text string) (value []byte, unchanged func(by string)) {
	whole := []byte(text + " and what is behind the slice")
	before := bytes.Clone(whole)
	return whole[:len(text)], func(by string) {
		if !bytes.Equal(whole, before) {
			e.Errorf("%s has changed the slice that it was given, or what is behind it: the caller may still use both. They were %q and are %q", by, before, whole)
		}
	}
}

// scribble overwrites a slice that the caller owns, up to its capacity.
func (e *env) scribble(value []byte) {
	e.Logf("overwrite the slice that holds %s", suite.Brief(string(value)))
	value = value[:cap(value)]
	for i := range value {
		value[i] = '#'
	}
}

// append appends to a slice that the caller owns.
func (e *env) append(value []byte) {
	e.Logf("append to the slice that holds %s", suite.Brief(string(value)))
	_ = append(value, "#####"...)
}

// scribbleAll overwrites the values of a snapshot and its entries, up to their capacity.
func (e *env) scribbleAll(s kv.Snapshot) {
	for _, entry := range s.Entries {
		e.scribble(entry.Value)
	}
	clear(s.Entries[:cap(s.Entries)])
}

// takeThrough reads w up to rev and returns copies of the delivered events. It overwrites each batch before it reads the next.
func (e *env) takeThrough(w *suite.Watching, rev kv.Revision) (delivered []kv.Event) {
	for w.Position() < rev {
		b := w.Next()
		for _, event := range b.Events {
			delivered = append(delivered, event.Clone())
		}
		for _, event := range b.Events {
			e.scribble(event.Value)
		}
		clear(b.Events[:cap(b.Events)])
	}
	return delivered
}

// expectError requires that err matches want, and no other error of package kv.
func (e *env) expectError(what string, err, want error) {
	if err == nil {
		e.Errorf("%s succeeded, but should fail with: %v", what, want)
	} else if !errors.Is(err, want) {
		e.Errorf("%s failed with %q, which does not match: %v", what, err, want)
	} else {
		e.expectNoOther(what, err, want)
	}
}

// expectUnchanged requires that nothing was written after revision before.
func (e *env) expectUnchanged(before kv.Revision) {
	got := e.Get(e.All())
	if got.Revision != before {
		e.Errorf("the store was at revision %d and is now at revision %d, but nothing should have been written", before, got.Revision)
	}
	e.ExpectSnapshot(e.All(), got)
}
