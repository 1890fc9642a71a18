package value

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// Value is the typed, current value of one key of a [kv.Store]. While at least one [Watcher] is open, it holds one watch of the store and
// the goroutines for it. Otherwise it holds none. All methods may be called concurrently.
type Value[T any] struct {
	store   kv.Store
	subject *upstream.Subject
	face    face[T]
	config  config
	misuse  error // why nothing can work; returned by every Get

	health    *upstream.Health
	fresh     *upstream.Freshness
	backlog   *backlog[T]
	state     atomic.Pointer[state[T]]
	notifiers notifiers                 // notified after state has changed
	timed     atomic.Bool               // a watcher wants to know when it did
	latest    atomic.Pointer[update[T]] // the newest good one

	latestMu sync.Mutex
	latestAt instant // of what was offered as latest and taken

	mu       sync.Mutex
	watchers int
	opened   time.Time          // when the first of them was
	stop     context.CancelFunc // ends the upstream; nil when there is none
	stopped  chan struct{}      // closed when the last upstream that was started has ended

	epoch uint64 // how often history was replaced; of the upstreams, which run one after the other
}

// state is all that the watchers wait for. It is immutable; the next one is announced through the notifiers.
type state[T any] struct {
	newest  *update[T] // nil before the first read
	changed time.Time  // when newest was published first, if a watcher wants to know
	fault   error      // the last error that the watchers are to be told, nil when a read succeeded since
	faults  uint64     // how many there have been
}

// New returns the Value of key in store, decoded by decode: [JSON], [StrictJSON], [Text], [String], [Bytes], or any
// function. decode may keep the bytes that it receives. It may be called concurrently. It must return or panic; it must not end its
// goroutine, as a test's FailNow does. Nothing is read before the Value is used. If an argument or an option is wrong, every Get
// fails and reports that.
func New[T any](store kv.Store, key string, decode func([]byte) (T, error), opts ...Option) *Value[T] {
	c := newConfig(opts)
	fallback, wrong := defaultOf[T](&c)
	if decode == nil {
		wrong = errors.New("nil decoder")
	}
	return newValue("New", store, upstream.OfKey(key), &keyFace[T]{decode: decode, fallback: fallback}, c, wrong)
}

// newValue returns the Value of a subject. If an argument is wrong, nothing but its errors work.
func newValue[T any](name string, store kv.Store, subject *upstream.Subject, face face[T], c config, wrong error) *Value[T] {
	v := &Value[T]{store: store, subject: subject, face: face, config: c, fresh: upstream.NewFreshness()}
	v.health = upstream.NewHealth(&v.config.Settings, subject.Range)
	v.backlog = &backlog[T]{most: v.config.backlog}
	v.state.Store(new(state[T]))
	if wrong == nil {
		wrong = v.config.validate(store, subject.Range)
	}
	if wrong != nil {
		v.misuse = misuse{fmt.Errorf("value: %s(%v): %w", name, subject.Range, wrong)}
		v.health.Misused(v.misuse)
	}
	return v
}

// defaultOf returns the value of [WithDefault], or the zero value.
func defaultOf[T any](c *config) (fallback T, err error) {
	if !c.hasFallback {
		return fallback, nil
	}
	fallback, ok := c.fallback.(T)
	if want := reflect.TypeFor[T](); !ok && (c.fallback != nil || want.Kind() != reflect.Interface) {
		return fallback, fmt.Errorf("WithDefault: got %T, want %v", c.fallback, want)
	}
	return fallback, nil
}

// Key returns the key. It is empty if the value is one of a range of keys.
func (v *Value[T]) Key() string {
	key, _ := v.subject.Range.Key()
	return key
}

// Range returns the range of keys that the value is made of: the key, or the range of a bundle.
func (v *Value[T]) Range() kv.Range { return v.subject.Range }

// Get reads and decodes the key once, linearizably, without a watch. An absent key reads as the default. Without a default the error
// matches [kv.ErrNotFound]. For a value that does not decode the error is a [*DecodeError]. Get returns the store's errors as they
// are, and does not try again.
func (v *Value[T]) Get(ctx context.Context) (T, error) {
	var zero T
	if v.misuse != nil {
		return zero, v.misuse
	}
	snapshot, err := v.store.Get(ctx, v.subject.Range)
	if err != nil {
		return zero, err
	}
	u := v.face.found(upstream.Found{Snapshot: snapshot, Place: v.subject.Place(snapshot, &upstream.Position{}, &upstream.Position{})}, 0)
	if !u.Present && !v.config.hasFallback {
		return zero, fmt.Errorf("value: get %v: %w", v.subject.Range, kv.ErrNotFound)
	}
	return u.value, u.err
}

// Reading is a value, its revision, and when the store confirmed it.
type Reading[T any] struct {
	Value T
	// Revision is that of the put that made the value, or for a default one at which the key was absent.
	Revision kv.Revision
	// Confirmed is when the store last confirmed what is known of the key, as in [Status].
	Confirmed time.Time
}

// Age is how long ago the store confirmed the reading.
func (r Reading[T]) Age() time.Duration { return time.Since(r.Confirmed) }

// Latest returns the newest good value at hand. It does not block and does not ask the store, so it is fit for hot paths. It is kept
// current while a watcher is open, even if no Get is called, and stays as it is when no watcher is open. No watcher returns a good
// value before Latest has that value or a newer one. A value that does not decode does not replace a good one. ok is false before the
// first good value, and, without a default or [WithLatestAfterDeletion], while the key is deleted.
func (v *Value[T]) Latest() (r Reading[T], ok bool) {
	confirmed := v.fresh.Confirmed.Load() // first: what it confirms is in what is loaded after it
	u := v.latest.Load()
	if u == nil || confirmed.Began.IsZero() {
		return r, false // or the first read is just being taken
	}
	return Reading[T]{Value: u.value, Revision: u.Revision, Confirmed: confirmed.Began}, true
}

// offerLatest makes u the Latest, unless u is bad or older than what has been offered. It is called before a watcher can
// return u.
func (v *Value[T]) offerLatest(u *update[T]) {
	if u.err != nil {
		return
	}
	v.latestMu.Lock()
	defer v.latestMu.Unlock()
	if u.epoch < v.latestAt.epoch || u.epoch == v.latestAt.epoch && u.Revision <= v.latestAt.revision {
		return
	}
	v.latestAt = instant{u.epoch, u.Revision}
	if absent := !u.Present && !v.config.hasFallback; absent && v.config.keepLatest {
		return
	} else if absent {
		u = nil
	}
	v.latest.Store(u)
}

// latestSince returns the revision in a history that Latest, or its absence, is of.
func (v *Value[T]) latestSince(epoch uint64) kv.Revision {
	v.latestMu.Lock()
	defer v.latestMu.Unlock()
	if v.latestAt.epoch != epoch {
		return -1
	}
	return v.latestAt.revision
}

// forgetLatest lets Latest be of any revision again: the store may have been replaced while no watcher was open.
func (v *Value[T]) forgetLatest() {
	v.latestMu.Lock()
	defer v.latestMu.Unlock()
	v.latestAt.revision = -1
}

// instant is a revision of a history.
type instant struct {
	epoch    uint64
	revision kv.Revision
}

// KeepCurrent keeps Latest current until stop is called, for programs that read nothing but Latest. It is a watcher that nobody reads, and
// returns at once: Latest has no value before the store has answered. stop may be called more than once.
func (v *Value[T]) KeepCurrent() (stop func()) {
	w := v.Watch()
	return func() { w.Close() }
}

// Watch opens a watcher. It must be closed. Its first Get returns the current value.
func (v *Value[T]) Watch(opts ...WatchOption) *Watcher[T] {
	var c watchConfig
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	w := &Watcher[T]{v: v, notifier: v.notifiers.join()}
	if v.config.MaxStaleness > 0 {
		w.limit = &stalenessLimit{opened: time.Now()}
	}
	if c.every {
		w.every = newEvery(w)
	}
	if c.quiet > 0 && !c.every {
		w.quiet = &quiet[T]{quiet: c.quiet, most: c.most}
		v.timed.Store(true)
	}
	w.absence, w.previous = c.absence, c.previous
	if v.misuse == nil {
		w.faults = v.state.Load().faults
		w.ticket = v.open()
	}
	return w
}

// open counts a watcher in, and starts the upstream for the first. It returns the ticket of the watcher's first read,
// which an upstream that the last watcher has just stopped does not serve: the next one may begin with another history.
func (v *Value[T]) open() (ticket uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	ticket = v.fresh.Want(true) // first, so that the read an upstream begins with serves it
	if v.watchers++; v.watchers == 1 {
		v.opened = time.Now()
		v.health.Opened()
		ctx, cancel := context.WithCancel(context.Background())
		before, stopped := v.stopped, make(chan struct{})
		v.stop, v.stopped = cancel, stopped
		go func() {
			defer close(stopped)
			if before != nil {
				<-before
			}
			v.run(ctx)
		}()
	}
	return ticket
}

// run is the upstream of the watchers that are open, from the first to the last.
func (v *Value[T]) run(ctx context.Context) {
	v.publish(nil, nil)
	f := &feed[T]{v: v, epoch: v.epoch, holeAt: -1}
	defer func() { v.epoch = f.epoch }()
	u := upstream.New(v.store, v.subject, &v.config.Settings, f, v.health, v.fresh)
	defer v.health.Stopped()
	u.Run(ctx)
}

// close counts a watcher out, and after the last stops the upstream and waits for its end.
func (v *Value[T]) close() {
	v.mu.Lock()
	v.watchers--
	var stopped chan struct{}
	if v.watchers == 0 {
		v.stop()
		stopped = v.stopped
	}
	v.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
}

// healed takes back a fault: to a watcher that has not been told of it, it is old news.
func (v *Value[T]) healed() {
	last := v.state.Load()
	if last.fault == nil {
		return
	}
	v.state.Store(&state[T]{newest: last.newest, changed: last.changed, faults: last.faults})
	v.notifiers.notify()
}

// publish shows the watchers a newest update, and a fault if there is one. Only the upstream calls it.
func (v *Value[T]) publish(newest *update[T], fault error) {
	last := v.state.Load()
	next := &state[T]{newest: newest, changed: last.changed, fault: last.fault, faults: last.faults}
	if newest != last.newest && v.timed.Load() {
		next.changed = time.Now()
	}
	if fault != nil {
		next.fault = fault
		next.faults++
	}
	v.state.Store(next)
	v.notifiers.notify()
}
