package stores

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// errorChecks are the checks of the portable errors and of their messages.
var errorChecks = []check{
	{"Errors", "invalid-range", "gets and watches the zero range, an inverted and an empty interval, and watches after a negative revision", 0, func(e *env) {
		e.Put(e.Key("k"), "v")
		for _, r := range []kv.Range{{}, kv.Interval(e.Key("b"), e.Key("a")), kv.Interval(e.Key("a"), e.Key("a")), kv.Interval("", "")} {
			_, err := e.TryGet(e.Store, r)
			e.expectError("get of "+r.String(), err, kv.ErrInvalidRange)
			e.expectError("watch of "+r.String(), e.Watch(r, 0).UntilEnd(), kv.ErrInvalidRange)
		}
		e.expectError("a watch after a negative revision", e.Watch(e.All(), -1).UntilEnd(), kv.ErrInvalidRange)
	}},
	{"Errors", "key-named-twice", "commits two operations on one key: the commit fails with ErrInvalidKey, and nothing is written", suite.Commit, func(e *env) {
		start := e.Put(e.Key("k"), "v")
		for _, ops := range [][]kv.Op{
			{kv.PutOp(e.Key("a"), []byte("1")), kv.PutOp(e.Key("a"), []byte("2"))},
			{kv.PutOp(e.Key("a"), []byte("1")), kv.PutOp(e.Key("b"), nil), kv.DeleteOp(e.Key("a"))},
			{kv.DeleteOp(e.Key("k")), kv.DeleteOp(e.Key("k"))},
			{kv.DeleteOp(e.Key("missing")), kv.DeleteOp(e.Key("missing"))},
		} {
			_, err := e.TryCommit(e.Store, ops...)
			e.expectError("a commit that names a key twice", err, kv.ErrInvalidKey)
			e.expectUnchanged(start)
		}
	}},
	{"Errors", "conflict", "writes on conditions that do not hold: the error is ErrConflict, and matches no error that leaves the outcome unknown", 0, func(e *env) {
		key := e.Key("k")
		start := e.Put(key, "v")
		_, err := e.TryPut(e.Store, key, "no", kv.IfAbsent())
		e.expectError("a put", err, kv.ErrConflict)
		_, err = e.TryDelete(e.Store, key, kv.IfRevision(start+1))
		e.expectError("a delete", err, kv.ErrConflict)
		if e.Backend.Commit {
			_, err = e.TryCommit(e.Store, kv.PutOp(e.Key("other"), nil), kv.DeleteOp(key, kv.IfRevision(start+1)))
			e.expectError("a commit", err, kv.ErrConflict)
		}
		e.expectUnchanged(start)
	}},
	{"Errors", "too-large", "puts a value that is larger than the store accepts, also in a commit: the write fails with ErrTooLarge, and nothing is written", suite.TooLarge, func(e *env) {
		start := e.Put(e.Key("k"), "v")
		_, err := e.TryPut(e.Store, e.Key("k"), string(make([]byte, e.Backend.TooLarge)))
		e.expectError("a put that is too large", err, kv.ErrTooLarge)
		e.expectUnchanged(start)
		if e.Backend.Commit {
			_, err = e.TryCommit(e.Store, kv.PutOp(e.Key("with it"), nil), kv.PutOp(e.Key("k"), make([]byte, e.Backend.TooLarge)))
			e.expectError("a commit with a put that is too large", err, kv.ErrTooLarge)
			e.expectUnchanged(start)
		}
		e.Put(e.Key("k"), "the store still works")
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
	}},
	{"Errors", "unsupported", "requests what the store does not support: a commit, or, if it supports commits, an operation of an unknown type, also together with other operations", 0, func(e *env) {
		start := e.Put(e.Key("k"), "v")
		c, ok := e.Store.(suite.Committer)
		if !ok {
			return // the store has no method Commit that could be called
		}
		attempts := [][]kv.Op{{kv.PutOp(e.Key("k"), nil)}}
		if e.Backend.Commit {
			unknown := kv.PutOp(e.Key("k"), nil)
			unknown.Type = 77
			attempts = [][]kv.Op{{unknown}, {kv.PutOp(e.Key("a"), nil), unknown}, {unknown, kv.PutOp(e.Key("z"), nil)}}
		}
		for _, ops := range attempts {
			ctx, cancel := e.Bounded()
			defer cancel()
			_, err := c.Commit(ctx, ops...)
			if err == nil && !e.Backend.Commit {
				e.Fatalf("the store commits, so Backend.Commit should be true, but it is false")
			}
			e.expectError("a commit that the store does not support", err, kv.ErrUnsupported)
			e.expectError("a commit that the store does not support", err, errors.ErrUnsupported)
			e.expectUnchanged(start)
		}
	}},
	{"Errors", "closed", "closes the store: running watches end with ErrClosed, and every later call fails with it", suite.Closing, func(e *env) {
		start := e.Put(e.Key("k"), "v")
		running := e.Watch(e.All(), start-1)
		running.Through(start)
		waiting := e.Watch(e.All(), start)
		e.Trace.Mark("close the store")
		e.Must("Backend.Close", e.Backend.Close(e.Store))
		e.expectError("a running watch", running.UntilEnd(), kv.ErrClosed)
		e.expectError("a waiting watch", waiting.UntilEnd(), kv.ErrClosed)
		for _, c := range e.calls("k") {
			ctx, cancel := e.Bounded()
			e.expectError(c.what, c.call(ctx), kv.ErrClosed)
			cancel()
		}
		e.expectError("a new watch", e.Watch(e.All(), start).UntilEnd(), kv.ErrClosed)
	}},
	{"Errors", "lost-stream", "ends the streams of the store while watches of the past, the present and the future run: each watch continues, or ends with ErrUnavailable", suite.EndStreams, func(e *env) {
		start := e.Put(e.Key("k"), "v")
		watches := []*suite.Watching{e.Watch(e.All(), start-1), e.Watch(kv.Key(e.Key("k")), start), e.Watch(e.All(), start+1)}
		e.underWay(watches...)
		watches[0].Through(e.Ledger.Last())
		e.EndStreams()
		last, err := e.TryPut(e.Store, e.Key("k"), "last")
		e.Must("a put through the store whose streams were ended, which Backend.EndStreams should wait for until it can be used again,", err)
		for _, w := range watches {
			for w.Position() < last {
				if _, err, ok := w.TryNext(); !ok {
					e.expectLost(w, err)
					break
				}
			}
		}
	}},
	{"Errors", "say-what-failed", "makes calls fail: each message contains the operation and the key", 0, func(e *env) {
		key := e.Key("named")
		rev := e.Put(key, "v")
		_, err := e.TryPut(e.Store, key, "v", kv.IfAbsent())
		e.expectMessage(err, "put", key)
		_, err = e.TryDelete(e.Store, key, kv.IfRevision(rev+1))
		e.expectMessage(err, "delete", key)
		_, err = e.Store.Get(e.Canceled(), kv.Key(key))
		e.expectMessage(err, "get", key)
		e.expectMessage(e.WatchVia(e.Canceled(), e.Store, kv.Key(key), rev).UntilEnd(), "watch", key)
		e.expectMessage(e.Watch(kv.Prefix(key), -1).UntilEnd(), "watch", key)
		if e.Backend.Commit {
			_, err = e.TryCommit(e.Store, kv.PutOp(key, nil, kv.IfAbsent()))
			e.expectMessage(err, "commit", key)
		}
	}},
}

// expectLost requires that w, whose stream was ended, has ended with ErrUnavailable.
func (e *env) expectLost(w *suite.Watching, err error) {
	if err == nil || errors.Is(err, suite.ErrInVain) {
		e.Errorf("the stream of %s was ended, and %s: it should go on, or end with kv.ErrUnavailable", w, suite.EndText(err))
		return
	}
	e.expectError("a watch whose stream was ended", err, kv.ErrUnavailable)
}

// portable are the errors by which callers decide: whether to try again, and whether a write has happened.
var portable = []error{
	kv.ErrCompacted, kv.ErrConflict, kv.ErrReset, kv.ErrNotFound, kv.ErrInvalidKey, kv.ErrInvalidRange, kv.ErrTooLarge,
	kv.ErrUnsupported, kv.ErrPermission, kv.ErrUnavailable, kv.ErrClosed, context.Canceled, context.DeadlineExceeded,
}

// expectNoOther requires that err, which matches want, matches no other portable error: a caller that tests for the other one first would
// decide wrongly.
func (e *env) expectNoOther(what string, err, want error) {
	for _, other := range portable {
		if ofContext(other) && !ofContext(want) {
			continue // the store's own timeout is ErrUnavailable, and may be caused by a context's error
		}
		if errors.Is(err, other) && !errors.Is(want, other) && !errors.Is(other, want) {
			e.Errorf("%s failed with %q, which matches not only %q but also %q", what, err, want, other)
		}
	}
}

func ofContext(err error) bool { return err == context.Canceled || err == context.DeadlineExceeded }

// expectMessage requires that the message of err contains the operation and the key.
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

// name returns key without the check's prefix. A store may quote the whole key in its own way, or only the part after a namespace.
func (e *env) name(key string) string { return strings.TrimPrefix(key, e.Prefix) }

// contextChecks are the checks that a call whose context is done returns the context's error.
var contextChecks = []check{
	{"Errors", "context-done-before", "calls every method with a context that is done, also one with a cause: each call returns the context's error, and nothing is written", 0, func(e *env) {
		start := e.Put(e.Key("k"), "v")
		withCause, cancel := context.WithCancelCause(e.Context())
		cancel(errors.New("the cause, which is not the context's error"))
		for _, done := range []struct {
			ctx  context.Context
			want error
		}{{e.Canceled(), context.Canceled}, {e.Expired(), context.DeadlineExceeded}, {withCause, context.Canceled}} {
			for _, c := range e.calls("k") {
				e.expectContextError(c.what, c.call(done.ctx), done.want)
			}
			e.expectContextError("watch", e.WatchVia(done.ctx, e.Store, e.All(), start).UntilEnd(), done.want)
		}
		e.expectUnchanged(start)
	}},
	{"Errors", "cut-off", "cuts the store off, and begins calls of every kind and a watch, whose contexts are not done: each waits, or ends with ErrUnavailable and not with an error of a context", suite.Cut, func(e *env) {
		start := e.Put(e.Key("k"), "v")
		heal := e.Cut()
		ctx, cancel := context.WithCancel(e.Context())
		defer cancel()
		calls := e.calls("other")
		type result struct {
			what string
			err  error
		}
		results := make(chan result, len(calls))
		for _, c := range calls {
			go func() { results <- result{c.what, c.call(ctx)} }()
		}
		w := e.WatchVia(ctx, e.Store, e.All(), start)
		expectUnavailable := func(what string, err error) {
			e.expectError(fmt.Sprintf("a %s during a cut, whose context is not done,", what), err, kv.ErrUnavailable)
		}
		<-time.After(250 * time.Millisecond) // during the cut, the calls can only wait or fail
		ended, pending := len(results), pendingOf(calls)
		for range ended {
			r := <-results
			pending[r.what]--
			expectUnavailable(r.what, r.err)
		}
		if w.Finished(time.Millisecond) {
			expectUnavailable("watch", w.UntilEnd())
		}
		heal()
		for ; ended < len(calls); ended++ {
			select {
			case r := <-results: // any result is allowed: a write may have happened or not
				pending[r.what]--
			case <-time.After(e.Patience()):
				e.Fatalf("calls that began while the store was cut off have not returned after the heal: %s", pending)
			}
		}
	}},
	{"Errors", "context-done-while-cut-off", "cuts the store off, and ends the contexts of many calls of every kind and of a watch, by cancel and by deadline: each ends at once, with the error of its own context, and after the heal the store works again", suite.Cut, func(e *env) {
		start := e.Put(e.Key("k"), "v")
		heal := e.Cut()
		calls := e.calls("other")
		for range 20 { // as many as a pool may have connections
			calls = append(calls, calls[0])
		}
		ctx, cancel := context.WithCancel(e.Context())
		defer cancel()
		type result struct {
			call, what string
			err, want  error
		}
		canceled, expired := make(chan result, len(calls)), make(chan result, len(calls))
		var begun sync.WaitGroup
		begun.Add(len(calls))
		for _, h := range calls {
			go func() {
				soon, done := context.WithTimeout(e.Context(), 50*time.Millisecond) // here, so that the call begins before it ends
				defer done()
				begun.Done()
				expired <- result{h.what, "a " + h.what + " whose deadline passed during a cut", h.call(soon), context.DeadlineExceeded}
			}()
		}
		begun.Wait() // a call that joins one which is running joins one of these
		for _, h := range calls {
			go func() {
				canceled <- result{h.what, "a " + h.what + " that was cancelled during a cut", h.call(ctx), context.Canceled}
			}()
		}
		w := e.WatchVia(ctx, e.Store, e.All(), start)
		allEnd := func(results chan result) {
			pending := pendingOf(calls)
			for range calls {
				select {
				case r := <-results:
					pending[r.call]--
					// A store may also find out that it is cut off, and report that before the context is done.
					if !errors.Is(r.err, kv.ErrUnavailable) {
						e.expectContextError(r.what, r.err, r.want)
					}
				case <-time.After(e.AtOnce()):
					e.Fatalf("calls whose contexts are done have not returned %v later, while the store is cut off: %s", e.AtOnce(), pending)
				}
			}
		}
		allEnd(expired)
		cancel() // now the other calls have begun too
		allEnd(canceled)
		if err := w.UntilEnd(); !errors.Is(err, kv.ErrUnavailable) {
			e.expectContextError("a watch that was cancelled during a cut", err, context.Canceled)
		}
		heal()
		e.expectUsable("calls")
	}},
}

// expectUsable requires that the store works again, after things of the given kind have ended while it was cut off.
func (e *env) expectUsable(ended string) {
	_, err := e.TryPut(e.Store, e.Key("k"), "the store works again")
	if err == nil {
		_, err = e.TryGet(e.Store, e.All())
	}
	if err != nil {
		e.Fatalf("many %s have ended while the store was cut off, and after the heal the store cannot be used: %v. Each that ends has to give back what it "+
			"uses, such as the connection of a pool", ended, err)
	}
	e.begin(1)
}

// pending counts the calls that have not returned, by what they do.
type pending map[string]int

func pendingOf(calls []call) pending {
	p := make(pending)
	for _, c := range calls {
		p[c.what]++
	}
	return p
}

func (p pending) String() string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(p)) {
		if p[what] > 0 {
			parts = append(parts, fmt.Sprint(p[what], " of ", what))
		}
	}
	return strings.Join(parts, ", ")
}

// call is a call of a store other than Watch.
type call struct {
	what string
	call func(context.Context) error
}

// calls returns calls of every kind. Those that write, write only the key of the given name.
func (e *env) calls(name string) []call {
	calls := []call{
		{"get", func(ctx context.Context) error { _, err := e.Store.Get(ctx, e.All()); return err }},
		{"put", func(ctx context.Context) error { _, err := e.Store.Put(ctx, e.Key(name), []byte("v")); return err }},
		{"delete", func(ctx context.Context) error { _, err := e.Store.Delete(ctx, e.Key(name)); return err }},
	}
	if e.Backend.Commit {
		calls = append(calls, call{"commit", func(ctx context.Context) error {
			_, err := e.Store.(suite.Committer).Commit(ctx, kv.PutOp(e.Key(name), []byte("v")))
			return err
		}})
	}
	if s, ok := e.Store.(kv.Stater); ok {
		calls = append(calls, call{"stat", func(ctx context.Context) error { _, err := s.Stat(ctx, e.All()); return err }})
	}
	if s, ok := e.Store.(kv.Summarizer); ok {
		calls = append(calls, call{"summary", func(ctx context.Context) error { _, err := s.Summarize(ctx, e.All(), 1, 1); return err }})
	}
	return calls
}
