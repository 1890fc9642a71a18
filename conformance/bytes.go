package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// byteChecks are those of S5 and S6: whose bytes are whose, and which can be stored.
var byteChecks = []check{
	{"S5", "given-to-put", "changes the slice after Put has returned", 0, func(e *env) {
		key, start := e.key("k"), e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		value := []byte("as it was put")
		rev, err := e.write("put "+e.short(key)+" from a slice", func(ctx context.Context) (kv.Revision, error) {
			return e.store.Put(ctx, key, value)
		}, kv.PutOp(key, bytes.Clone(value)))
		e.must("put", err)
		e.scribble(value)
		e.expectSnapshot(e.all(), e.get(e.all()))
		w.through(rev).expectAll()
		e.watch(e.all(), start).through(rev).expectAll()
	}},
	{"S5", "given-to-commit", "changes the slices after Commit has returned", commit, func(e *env) {
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		one, two := []byte("one"), []byte("two")
		rev := e.commit(kv.PutOp(e.key("1"), one), kv.PutOp(e.key("2"), two))
		e.scribble(one)
		e.scribble(two)
		e.expectSnapshot(e.all(), e.get(e.all()))
		w.through(rev).expectAll()
		e.watch(e.all(), start).through(rev).expectAll()
	}},
	{"S5", "got-from-get", "changes the values of one snapshot, and looks at another and at new ones", 0, func(e *env) {
		start := e.get(e.all()).Revision
		e.put(e.key("1"), "one")
		last := e.put(e.key("2"), "two")
		first, second := e.get(e.all()), e.get(e.all())
		single := e.get(kv.Key(e.key("1")))
		e.scribbleAll(first)
		e.expectSnapshot(e.all(), second)
		e.expectSnapshot(kv.Key(e.key("1")), single)
		e.expectSnapshot(e.all(), e.get(e.all()))
		e.expectSnapshot(kv.Key(e.key("1")), e.get(kv.Key(e.key("1"))))
		e.watch(e.all(), start).through(last).expectAll()
	}},
	{"S5", "got-from-events", "changes the values in one watch's events, and looks at another watch and at new reads", 0, func(e *env) {
		start := e.get(e.all()).Revision
		w, other, single := e.watch(e.all(), start), e.watch(e.all(), start), e.watch(kv.Key(e.key("1")), start)
		one := e.put(e.key("1"), "one")
		last := e.put(e.key("2"), "two")
		for _, event := range w.through(last).events() {
			e.scribble(event.Value)
		}
		other.through(last).expectAll()
		single.through(one).expectAll()
		e.expectSnapshot(e.all(), e.get(e.all()))
		e.watch(e.all(), start).through(last).expectAll()
	}},
	{"S5", "two-watches-of-the-past", "changes the values in a watch's events from the past while another reads the same", 0, func(e *env) {
		start := e.get(e.all()).Revision
		e.put(e.key("1"), "one")
		last := e.put(e.key("2"), "two")
		w, other := e.watch(e.all(), start).through(last), e.watch(e.all(), start).through(last)
		for _, event := range w.events() {
			e.scribble(event.Value)
		}
		other.expectAll()
		e.expectSnapshot(e.all(), e.get(e.all()))
		e.watch(e.all(), start).through(last).expectAll()
	}},
	{"S5", "batch-by-batch", "changes all of each batch before the next is read, while another watch keeps its own: neither changes what comes later or came before", 0, func(e *env) {
		start := e.get(e.all()).Revision
		kept, changed := e.watch(e.all(), start), e.watch(e.all(), start)
		var got []kv.Event
		for i := range 6 {
			rev := e.put(e.key(fmt.Sprint(i%3)), fmt.Sprint("value ", i))
			kept.through(rev)
			got = append(got, e.takeThrough(changed, rev)...)
		}
		last := e.ledger.last()
		kept.expectAll()
		kept.expectEvents(got, start, last)
		// The same as the past, which may come in one batch, or in several that have a buffer in common.
		past := e.watch(e.all(), start)
		past.expectEvents(e.takeThrough(past, last), start, last)
		kept.expectAll()
		e.expectSnapshot(e.all(), e.get(e.all()))
	}},
	{"S6", "keys", "puts, gets, watches and deletes keys of odd bytes, each beside its neighbours and alone", 0, func(e *env) {
		var keys []string
		for _, odd := range []string{
			"\x00", "\x00\x00", "a\x00b", "\xff", "\xff\xff", "a\xffb", "/", "//", "/a//b/", "../x", " ", "\n", "%", "*", ">", ".", "$",
			"%41", "%2F", "+", "a?b", "#", "\\", `\x41`, "'", `"`, "_", "[k]", "{k}", "\r\n", "k ", "e\u0301",
			"é", "\xc3\x28", "日本語", strings.Repeat("k", 1024-len(e.prefix)), "K", "k",
		} {
			keys = append(keys, e.key(odd))
		}
		keys = append(keys, "\x00"+e.prefix, "\xff"+e.prefix, "\xff\xff\xff"+e.prefix, "/"+e.prefix)
		start := e.get(e.all()).Revision
		w := e.watch(kv.All(), start)
		var single []*watching
		for _, key := range keys {
			single = append(single, e.watch(kv.Key(key), start))
		}
		for _, key := range keys {
			e.put(key, "first of "+key)
		}
		for _, key := range keys {
			e.expectSnapshot(kv.Key(key), e.get(kv.Key(key)))
		}
		e.expectSnapshot(e.all(), e.get(e.all()))
		for i, key := range keys {
			if i%2 == 0 {
				e.delete(key)
			}
		}
		last := e.put(e.key("last"), "v")
		w.through(last).expectAll()
		for _, w := range single {
			events := e.ledger.eventsAfter(w.r, start)
			w.through(events[len(events)-1].ModRevision).expectAll()
		}
		for _, key := range keys {
			e.expectSnapshot(kv.Key(key), e.get(kv.Key(key)))
		}
	}},
	{"S6", "values", "puts, gets and watches values of any bytes, of none and of a megabyte", 0, func(e *env) {
		var every [256]byte
		for i := range every {
			every[i] = byte(i)
		}
		start := e.get(e.all()).Revision
		w := e.watch(e.all(), start)
		var last kv.Revision
		for i, value := range []string{
			"", "\x00", "\xff", "null", " ", "\n", `\`, `\\`, `\x41`, `\101`, "%41", "dg==", `"v"`, "'", "\r\n", string(every[:]), "\xc3\x28", strings.Repeat("m", 1<<20), strings.Repeat("\x00", 1<<20), "",
		} {
			last = e.put(e.key("same"), value)
			if i%2 == 0 {
				last = e.put(e.key("key "+string(rune('a'+i))), value)
			}
			e.expectSnapshot(e.all(), e.get(e.all()))
		}
		w.through(last).expectAll()
		e.watch(e.all(), start).through(last).expectAll()
	}},
	{"S6", "long-key-and-large-value", "puts a value of a megabyte at a key of a kilobyte, gets it and watches it", 0, func(e *env) {
		key := e.key(strings.Repeat("k", 1024-len(e.prefix)))
		w := e.watch(kv.Key(key), e.get(kv.Key(key)).Revision)
		rev := e.put(key, strings.Repeat("m", 1<<20))
		e.expectSnapshot(kv.Key(key), e.get(kv.Key(key)))
		w.through(rev).expectAll()
	}},
	{"S6", "nil-value", "puts a nil value: the key exists, and its value is empty", 0, func(e *env) {
		key := e.key("k")
		_, err := e.write("put nil", func(ctx context.Context) (kv.Revision, error) {
			return e.store.Put(ctx, key, nil)
		}, kv.PutOp(key, nil))
		e.must("put of a nil value", err)
		e.expectSnapshot(e.all(), e.get(e.all()))
	}},
	{"S6", "empty-key", "gets, watches, puts and deletes the empty key: each is ErrInvalidKey, and nothing is written", 0, func(e *env) {
		before := e.get(e.all()).Revision
		_, err := e.tryGet(e.store, kv.Key(""))
		e.expectError("get", err, kv.ErrInvalidKey)
		e.expectError("watch", e.watch(kv.Key(""), before).untilEnd(), kv.ErrInvalidKey)
		_, err = e.tryPut(e.store, "", "v")
		e.expectError("put", err, kv.ErrInvalidKey)
		_, err = e.tryDelete(e.store, "")
		e.expectError("delete", err, kv.ErrInvalidKey)
		if e.backend.Commit {
			_, err = e.tryCommit(e.store, kv.PutOp(e.key("k"), []byte("v")), kv.PutOp("", nil))
			e.expectError("commit", err, kv.ErrInvalidKey)
			_, err = e.tryCommit(e.store, kv.PutOp(e.key("k"), []byte("v")), kv.DeleteOp(""))
			e.expectError("commit of a deletion", err, kv.ErrInvalidKey)
		}
		e.expectUnchanged(before)
	}},
}

// scribble changes a slice that is the caller's, with the room that append would find behind it.
func (e *env) scribble(value []byte) {
	e.Logf("overwrite the slice that holds %q", value)
	value = value[:cap(value)]
	for i := range value {
		value[i] = '#'
	}
}

// scribbleAll changes all of a snapshot, and what append would find behind it.
func (e *env) scribbleAll(s kv.Snapshot) {
	for _, entry := range s.Entries {
		e.scribble(entry.Value)
	}
	clear(s.Entries[:cap(s.Entries)])
}

// takeThrough reads w as far as rev, changes all of each batch before it reads the next, and returns what came.
func (e *env) takeThrough(w *watching, rev kv.Revision) (came []kv.Event) {
	for w.position() < rev {
		b := w.next()
		for _, event := range b.Events {
			came = append(came, event.Clone())
		}
		for _, event := range b.Events {
			e.scribble(event.Value)
		}
		clear(b.Events[:cap(b.Events)])
	}
	return came
}

func (e *env) expectError(what string, err, want error) {
	if err == nil {
		e.Errorf("%s succeeded, and should fail with: %v", what, want)
	} else if !errors.Is(err, want) {
		e.Errorf("%s failed with %q, which does not match: %v", what, err, want)
	} else {
		e.expectNoOther(what, err, want)
	}
}

// expectUnchanged requires that nothing was written since revision before.
func (e *env) expectUnchanged(before kv.Revision) {
	got := e.get(e.all())
	if got.Revision != before {
		e.Errorf("the store was at revision %d and is now at %d, though nothing was to be written", before, got.Revision)
	}
	e.expectSnapshot(e.all(), got)
}
