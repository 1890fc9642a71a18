package conformance

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// errorChecks are those of the portable errors, and of what an error says.
var errorChecks = []check{
	{"Errors", "invalid-range", "gets and watches the zero range, an inverted and an empty interval, and watches after a negative revision", 0, func(e *env) {
		e.put(e.key("k"), "v")
		for _, r := range []kv.Range{{}, kv.Interval(e.key("b"), e.key("a")), kv.Interval(e.key("a"), e.key("a")), kv.Interval("", "")} {
			_, err := e.tryGet(e.store, r)
			e.expectError("get of "+r.String(), err, kv.ErrInvalidRange)
			e.expectError("watch of "+r.String(), e.watch(r, 0).untilEnd(), kv.ErrInvalidRange)
		}
		e.expectError("a watch after a negative revision", e.watch(e.all(), -1).untilEnd(), kv.ErrInvalidRange)
	}},
	{"Errors", "key-named-twice", "commits two operations on one key: ErrInvalidKey, and nothing is written", commit, func(e *env) {
		start := e.put(e.key("k"), "v")
		for _, ops := range [][]kv.Op{
			{kv.PutOp(e.key("a"), []byte("1")), kv.PutOp(e.key("a"), []byte("2"))},
			{kv.PutOp(e.key("a"), []byte("1")), kv.PutOp(e.key("b"), nil), kv.DeleteOp(e.key("a"))},
			{kv.DeleteOp(e.key("k")), kv.DeleteOp(e.key("k"))},
			{kv.DeleteOp(e.key("missing")), kv.DeleteOp(e.key("missing"))},
		} {
			_, err := e.tryCommit(e.store, ops...)
			e.expectError("a commit that names a key twice", err, kv.ErrInvalidKey)
			e.expectUnchanged(start)
		}
	}},
	{"Errors", "conflict", "writes on conditions that do not hold: ErrConflict, and nothing that says that the write may have happened", 0, func(e *env) {
		key := e.key("k")
		start := e.put(key, "v")
		_, err := e.tryPut(e.store, key, "no", kv.IfAbsent())
		e.expectError("a put", err, kv.ErrConflict)
		_, err = e.tryDelete(e.store, key, kv.IfRevision(start+1))
		e.expectError("a delete", err, kv.ErrConflict)
		if e.backend.Commit {
			_, err = e.tryCommit(e.store, kv.PutOp(e.key("other"), nil), kv.DeleteOp(key, kv.IfRevision(start+1)))
			e.expectError("a commit", err, kv.ErrConflict)
		}
		e.expectUnchanged(start)
	}},
	{"Errors", "too-large", "puts a value that is larger than the store takes: ErrTooLarge, and nothing is written", tooLarge, func(e *env) {
		start := e.put(e.key("k"), "v")
		_, err := e.tryPut(e.store, e.key("k"), string(make([]byte, e.backend.TooLarge)))
		e.expectError("a put that is too large", err, kv.ErrTooLarge)
		e.expectUnchanged(start)
		e.put(e.key("k"), "the store still works")
		e.expectSnapshot(e.all(), e.get(e.all()))
	}},
	{"Errors", "unsupported", "asks for what the store cannot do: a commit, if it has none, else an operation of an unknown type, alone and among others", 0, func(e *env) {
		start := e.put(e.key("k"), "v")
		c, ok := e.store.(committer)
		if !ok {
			return // nothing can be asked for: that a method is missing says it
		}
		attempts := [][]kv.Op{{kv.PutOp(e.key("k"), nil)}}
		if e.backend.Commit {
			unknown := kv.PutOp(e.key("k"), nil)
			unknown.Type = 77
			attempts = [][]kv.Op{{unknown}, {kv.PutOp(e.key("a"), nil), unknown}, {unknown, kv.PutOp(e.key("z"), nil)}}
		}
		for _, ops := range attempts {
			ctx, cancel := e.bounded()
			defer cancel()
			_, err := c.Commit(ctx, ops...)
			if err == nil && !e.backend.Commit {
				e.Fatalf("the store commits: Backend.Commit is false, and should be true")
			}
			e.expectError("what the store cannot do", err, kv.ErrUnsupported)
			e.expectError("what the store cannot do", err, errors.ErrUnsupported)
			e.expectUnchanged(start)
		}
	}},
	{"Errors", "closed", "closes the store: running watches end with ErrClosed, and so does every call after", closing, func(e *env) {
		start := e.put(e.key("k"), "v")
		running := e.watch(e.all(), start-1)
		running.through(start)
		waiting := e.watch(e.all(), start)
		e.trace.mark("close the store")
		e.must("Backend.Close", e.backend.Close(e.store))
		e.expectError("a running watch", running.untilEnd(), kv.ErrClosed)
		e.expectError("a waiting watch", waiting.untilEnd(), kv.ErrClosed)
		_, err := e.tryGet(e.store, e.all())
		e.expectError("get", err, kv.ErrClosed)
		_, err = e.tryPut(e.store, e.key("k"), "v")
		e.expectError("put", err, kv.ErrClosed)
		_, err = e.tryDelete(e.store, e.key("k"))
		e.expectError("delete", err, kv.ErrClosed)
		if e.backend.Commit {
			_, err = e.tryCommit(e.store, kv.PutOp(e.key("k"), nil))
			e.expectError("commit", err, kv.ErrClosed)
		}
		e.expectError("a new watch", e.watch(e.all(), start).untilEnd(), kv.ErrClosed)
	}},
	{"Errors", "lost-stream", "ends the streams of the store beside watches of the past, the present and the future: each goes on, or ends with ErrUnavailable", endStreams, func(e *env) {
		start := e.put(e.key("k"), "v")
		watches := []*watching{e.watch(e.all(), start-1), e.watch(kv.Key(e.key("k")), start), e.watch(e.all(), start+1)}
		e.underWay(watches...)
		watches[0].through(e.ledger.last())
		e.endStreams()
		last := e.put(e.key("k"), "last")
		for _, w := range watches {
			for w.position() < last {
				if _, err, ok := w.tryNext(); !ok {
					e.expectError("a watch whose stream was ended", err, kv.ErrUnavailable)
					break
				}
			}
		}
	}},
	{"Errors", "say-what-failed", "makes calls fail, and looks for the operation and the key in each message", 0, func(e *env) {
		key := e.key("named")
		rev := e.put(key, "v")
		_, err := e.tryPut(e.store, key, "v", kv.IfAbsent())
		e.expectMessage(err, "put", key)
		_, err = e.tryDelete(e.store, key, kv.IfRevision(rev+1))
		e.expectMessage(err, "delete", key)
		_, err = e.store.Get(e.canceled(), kv.Key(key))
		e.expectMessage(err, "get", key)
		e.expectMessage(e.watchVia(e.canceled(), e.store, kv.Key(key), rev).untilEnd(), "watch", key)
		e.expectMessage(e.watch(kv.Prefix(key), -1).untilEnd(), "watch", key)
		if e.backend.Commit {
			_, err = e.tryCommit(e.store, kv.PutOp(key, nil, kv.IfAbsent()))
			e.expectMessage(err, "commit", key)
		}
	}},
}

// portable are the errors of package kv, which say different things: what may be tried again and what may not, what has
// happened and what has not.
var portable = []error{
	kv.ErrCompacted, kv.ErrConflict, kv.ErrReset, kv.ErrNotFound, kv.ErrInvalidKey, kv.ErrInvalidRange, kv.ErrTooLarge,
	kv.ErrUnsupported, kv.ErrPermission, kv.ErrUnavailable, kv.ErrClosed, context.Canceled, context.DeadlineExceeded,
}

// expectNoOther requires err, which matches want, to match nothing that says otherwise: a reader who looks for that
// first would be misled.
func (e *env) expectNoOther(what string, err, want error) {
	for _, other := range portable {
		if ofContext(other) && !ofContext(want) {
			continue // a timeout of the store's own is ErrUnavailable, and may be what caused it
		}
		if errors.Is(err, other) && !errors.Is(want, other) && !errors.Is(other, want) {
			e.Errorf("%s failed with %q, which matches not only %q but also %q", what, err, want, other)
		}
	}
}

func ofContext(err error) bool { return err == context.Canceled || err == context.DeadlineExceeded }

// expectMessage requires err to name the operation and the key.
func (e *env) expectMessage(err error, op, key string) {
	if err == nil {
		e.Errorf("the %s should have failed", op)
		return
	}
	for _, part := range []string{op, e.name(key)} {
		if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(part)) {
			e.Errorf("the error of a %s of %q does not contain %q: %v", op, key, part, err)
		}
	}
}

// name is the part of a key that is not the check's prefix: a store may say the whole key in its own quotes, or
// as the part that is beneath a namespace.
func (e *env) name(key string) string { return strings.TrimPrefix(key, e.prefix) }

// contextChecks are those of the context's own error, which comes back as itself.
var contextChecks = []check{
	{"Errors", "context-done-before", "calls everything with a context that is done: its error comes back as itself, and nothing is written", 0, func(e *env) {
		start := e.put(e.key("k"), "v")
		for _, done := range []struct {
			ctx  context.Context
			want error
		}{{e.canceled(), context.Canceled}, {e.expired(), context.DeadlineExceeded}} {
			_, err := e.store.Get(done.ctx, e.all())
			e.expectContextError("get", err, done.want)
			_, err = e.store.Put(done.ctx, e.key("k"), []byte("no"))
			e.expectContextError("put", err, done.want)
			_, err = e.store.Delete(done.ctx, e.key("k"))
			e.expectContextError("delete", err, done.want)
			if e.backend.Commit {
				_, err = e.store.(committer).Commit(done.ctx, kv.PutOp(e.key("k"), []byte("no")))
				e.expectContextError("commit", err, done.want)
			}
			e.expectContextError("watch", e.watchVia(done.ctx, e.store, e.all(), start).untilEnd(), done.want)
		}
		e.expectUnchanged(start)
	}},
	{"Errors", "context-done-while-cut-off", "cuts the store off, and ends the contexts of calls of every kind and of a watch that hang, by cancelling them and by a deadline", cut, func(e *env) {
		start := e.put(e.key("k"), "v")
		heal := e.cut()
		type hanging struct {
			what string
			call func(context.Context) error
		}
		calls := []hanging{
			{"get", func(ctx context.Context) error { _, err := e.store.Get(ctx, e.all()); return err }},
			{"put", func(ctx context.Context) error {
				_, err := e.store.Put(ctx, e.key("other"), []byte("v"))
				return err
			}},
			{"delete", func(ctx context.Context) error { _, err := e.store.Delete(ctx, e.key("other")); return err }},
		}
		if e.backend.Commit {
			calls = append(calls, hanging{"commit", func(ctx context.Context) error {
				_, err := e.store.(committer).Commit(ctx, kv.PutOp(e.key("other"), []byte("v")))
				return err
			}})
		}
		ctx, cancel := context.WithCancel(e.Context())
		defer cancel()
		soon, done := context.WithTimeout(e.Context(), 50*time.Millisecond)
		defer done()
		type result struct {
			what      string
			err, want error
		}
		results := make(chan result, 2*len(calls))
		for _, h := range calls {
			go func() { results <- result{"a " + h.what + " that hung", h.call(ctx), context.Canceled} }()
			go func() {
				results <- result{"a " + h.what + " that hung until its deadline", h.call(soon), context.DeadlineExceeded}
			}()
		}
		w := e.watchVia(ctx, e.store, e.all(), start)
		cancel()
		for range cap(results) {
			select {
			case r := <-results:
				// A store may also know that it is cut off, and say so before the context ends.
				if !errors.Is(r.err, kv.ErrUnavailable) {
					e.expectContextError(r.what, r.err, r.want)
				}
			case <-time.After(e.atOnce()):
				e.Fatalf("a call whose context has ended does not return while the store is cut off")
			}
		}
		if err := w.untilEnd(); !errors.Is(err, kv.ErrUnavailable) {
			e.expectContextError("a watch that hung", err, context.Canceled)
		}
		heal()
		e.put(e.key("k"), "the store works again")
		e.get(e.all())
	}},
}
