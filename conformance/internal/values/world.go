package values

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// world is an env with a [value.Value] on top of the store. Values read through faults, which stops and breaks
// what is on its way at the moment that a check chooses; checks write past it.
type world struct {
	*suite.Env
	faults   *fault.Store
	at       string // the key of the Values
	newValue NewValue
}

// Live is a [value.Value] as checks use it, and Reader one of its watchers. Tests of the suite put wrong ones in
// their place, to see that checks notice.
type Live interface {
	Watch(...value.WatchOption) Reader
	Get(context.Context) (string, error)
	Latest() (value.Reading[string], bool)
	Status() value.Status
}

type Reader interface {
	Get(context.Context, ...value.GetOption[string]) (string, error)
	TryGet(...value.GetOption[string]) (string, error)
	Revision() kv.Revision
	Close() error
}

// NewValue makes a Value.
type NewValue func(store kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) Live

type soundValue struct{ *value.Value[string] }

func (v soundValue) Watch(opts ...value.WatchOption) Reader { return v.Value.Watch(opts...) }

// Sound makes the Values of package value.
func Sound(store kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) Live {
	return soundValue{value.New(store, key, decode, opts...)}
}

// What would take seconds by default takes milliseconds here, so that no check is long in waiting.
const (
	retryFirst = time.Millisecond
	retryMost  = 20 * time.Millisecond
	checkEvery = 10 * time.Millisecond
)

// value returns the Value of the world's key. Silence is not checked unless opts say so: what a check is to see
// has to come by the way that it is about.
func (w *world) value(opts ...value.Option) Live { return w.decoded(value.String, opts...) }

func (w *world) decoded(decode func([]byte) (string, error), opts ...value.Option) Live {
	return w.valueOf(w.faults, w.at, decode, opts...)
}

func (w *world) valueOf(s kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) Live {
	opts = append([]value.Option{value.WithRetry(retryFirst, retryMost), value.WithCheck(0)}, opts...)
	return w.newValue(s, key, decode, opts...)
}

// set, unset and setOther write past the faults.
func (w *world) set(v string) kv.Revision { return w.Put(w.at, v) }
func (w *world) unset() kv.Revision       { return w.Delete(w.at) }
func (w *world) setOther() kv.Revision    { return w.Put(w.Key("other"), "v") }

// forgetHistory compacts all but what is newest. There are two writes, as a watch after the first would still find
// the second.
func (w *world) forgetHistory() { w.forgetHistoryVia(w.Store) }

func (w *world) forgetHistoryVia(s suite.Store) {
	var rev kv.Revision
	for range 2 {
		var err error
		rev, err = w.TryPut(s, w.Key("other"), "v")
		w.Must("put", err)
	}
	w.CompactVia(s, rev)
}

// until waits for something that the faults count.
func (w *world) until(what string, holds func(fault.Counts) bool) {
	ctx, cancel := w.Bounded()
	defer cancel()
	if err := w.faults.Wait(ctx, holds); err != nil {
		w.Fatalf("waited in vain until %s; the store saw: %v", what, w.faults.Counts())
	}
}

// streaming waits until n watches run. What a read has found was returned before.
func (w *world) streaming(n int) {
	w.until(fmt.Sprintf("%d watches of the store run", n), func(c fault.Counts) bool { return c.Streams == n })
}

// readAfresh waits until n watches that run now have been given up, as many run again, and so was read before each.
func (w *world) readAfresh(n int, happens func()) {
	before := w.faults.Counts().Watches
	happens()
	w.until(fmt.Sprintf("%d watches of the store run again", n), func(c fault.Counts) bool {
		return c.Watches >= before+n && c.Streams == n
	})
}

// held waits until h holds a call.
func (w *world) held(h *fault.Hold) {
	ctx, cancel := w.Bounded()
	defer cancel()
	if err := h.Wait(ctx); err != nil {
		w.Fatalf("waited in vain for a call to the store: %v", err)
	}
}

// away cuts the Values' store off: by the backend's own means where it has them, and another store to write
// through, else by the faults. Until heal others do their work through the store returned.
func (w *world) away() (others suite.Store, heal func()) {
	if w.Backend.Cut != nil && w.Backend.Again != nil {
		others = w.Backend.Again(w, w.Store)
		return others, w.Cut()
	}
	w.Trace.Mark("cut the Value off from the store")
	w.faults.Cut()
	return w.Store, func() {
		w.Trace.Mark("heal it")
		w.faults.Heal()
	}
}

// follower is a reader whose answers are checked.
type follower struct {
	w *world
	Reader
	name string
	of   Live
}

// follow opens a watcher of v, which the check's end closes.
func (w *world) follow(v Live, name string, opts ...value.WatchOption) *follower {
	w.Logf("open a watcher, %s", name)
	f := &follower{w: w, Reader: v.Watch(opts...), name: name, of: v}
	w.Cleanup(func() { f.end() })
	return f
}

// both opens a watcher of the newest, and one of every update.
func (w *world) both(v Live) []*follower {
	return []*follower{w.follow(v, "one of the newest"), w.follow(v, "one of every update", value.EveryUpdate())}
}

// inEachMode does the same with a watcher of the newest, and then with one of every update.
func (w *world) inEachMode(v Live, do func(*follower)) {
	for _, opts := range [][]value.WatchOption{nil, {value.EveryUpdate()}} {
		name := "one of the newest"
		if opts != nil {
			name = "one of every update"
		}
		f := w.follow(v, name, opts...)
		do(f)
		f.end()
	}
}

// readOnce returns when a read begun after the call was returned by all watchers of v. The key must exist.
func (w *world) readOnce(v Live) {
	f := w.follow(v, "one that has a read made")
	if got := f.begin().end(); got.err != nil {
		w.Fatalf("the first Get of a watcher returned %v", got)
	}
	f.end()
}

// end closes the watcher, and requires that not to take long.
func (f *follower) end() {
	f.w.Logf("close %s", f.name)
	done := make(chan error, 1)
	go func() { done <- f.Reader.Close() }()
	select {
	case err := <-done:
		f.w.Must("Close of "+f.name, err)
	case <-time.After(f.w.AtOnce()):
		f.w.Fatalf("Close of %s has not returned after %v", f.name, f.w.AtOnce())
	}
}

// gotten is what a Get returned.
type gotten struct {
	value string
	err   error
	rev   kv.Revision
}

func (g gotten) String() string {
	if g.err != nil {
		return fmt.Sprintf("the error %q", g.err)
	}
	return fmt.Sprintf("%s of revision %d", suite.Brief(g.value), g.rev)
}

// call is a Get that runs during the check.
type call struct {
	f      *follower
	cancel context.CancelFunc
	done   chan struct{}
	got    gotten // set before done is closed
}

// begin begins a Get.
func (f *follower) begin(opts ...value.GetOption[string]) *call {
	ctx, cancel := context.WithTimeoutCause(f.w.Context(), f.w.Patience(), suite.ErrInVain)
	c := &call{f: f, cancel: cancel, done: make(chan struct{})}
	began := make(chan struct{})
	go func() {
		defer cancel()
		defer close(c.done)
		close(began)
		v, err := f.Get(ctx, opts...)
		if err != nil && errors.Is(context.Cause(ctx), suite.ErrInVain) {
			err = suite.ErrInVain
		}
		c.got = gotten{value: v, err: err}
		if !errors.Is(err, value.ErrConcurrentGet) { // else it is another's to ask
			c.got.rev = f.Revision()
		}
	}()
	<-began
	return c
}

// end waits for what the Get returns. One that does not heed its context ends the check.
func (c *call) end() gotten {
	w := c.f.w
	select {
	case <-c.done:
	case <-time.After(w.Patience() + w.AtOnce()):
		w.Fatalf("a Get of %s does not return", c.f.name)
	}
	w.Logf("  Get of %s returns %v", c.f.name, c.got)
	return c.got
}

func (c *call) gives(want string) gotten {
	got := c.end()
	if got.err != nil || got.value != want {
		c.f.w.Fatalf("Get of %s returned %v, and should return %s; %s", c.f.name, got, suite.Brief(want), c.f.status())
	}
	return got
}

func (c *call) fails(want error) gotten {
	got := c.end()
	if !errors.Is(got.err, want) {
		c.f.w.Fatalf("Get of %s returned %v, and should return the error %q; %s", c.f.name, got, want, c.f.status())
	}
	return got
}

// waits requires the Get not to have returned yet. What it waits for is not there, so it can only fail for cause.
func (c *call) waits() {
	select {
	case <-c.done:
		c.f.w.Fatalf("Get of %s returned %v, and should wait", c.f.name, c.got)
	default:
	}
}

func (f *follower) gives(want string, opts ...value.GetOption[string]) gotten {
	return f.begin(opts...).gives(want)
}

func (f *follower) fails(want error, opts ...value.GetOption[string]) gotten {
	return f.begin(opts...).fails(want)
}

// nothing requires that there is nothing to return now. What is known was returned before, if the check has waited
// for what it is known from.
func (f *follower) nothing() {
	if v, err := f.TryGet(); !errors.Is(err, value.ErrNothingNew) {
		f.w.Fatalf("TryGet of %s returned %v, and there should be nothing new; %s", f.name, gotten{v, err, f.Revision()}, f.status())
	}
}

func (f *follower) status() string {
	s := f.of.Status()
	return fmt.Sprintf("the Value's Status: connected %v, at revision %d, last error %v, holes %d, resets %d",
		s.Connected, s.Revision, s.LastError, s.Holes, s.Resets)
}

// givesEach requires the Gets to return every update of the key after one revision and up to another, in order.
func (f *follower) givesEach(after, upTo kv.Revision) {
	for _, event := range f.w.Ledger.EventsAfter(kv.Key(f.w.at), after) {
		if event.ModRevision > upTo {
			return
		}
		var got gotten
		if event.Type == kv.EventDelete {
			got = f.fails(value.ErrDeleted)
		} else {
			got = f.gives(string(event.Value))
		}
		if got.rev != event.ModRevision {
			f.w.Fatalf("the update of revision %d came as one of revision %d", event.ModRevision, got.rev)
		}
	}
}

// nextArrives requires the next change to be the next thing that each follower returns.
func (w *world) nextArrives(followers ...*follower) {
	w.set("next")
	for _, f := range followers {
		f.gives("next")
	}
}
