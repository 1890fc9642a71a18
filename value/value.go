package value

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// Value is the typed, current value of one key of a [kv.Store]. While at least one [Watcher] is open, it holds one watch of the store and
// the goroutines for it. Otherwise it holds none. All methods may be called concurrently.
type Value[T any] struct {
	state  state[T]
	supply supply[T]
}

// New returns the Value of key in store, decoded by decode: [JSON], [StrictJSON], [Text], [String], [Bytes], or any
// function. decode may keep and change the bytes that it receives. It may be called concurrently. It must return or panic; it must not end
// its goroutine, as a test's FailNow does. Nothing is read before the Value is used. If an argument or an option is wrong, every Get
// fails and reports that.
func New[T any](store kv.Store, key string, decode func([]byte) (T, error), opts ...Option) *Value[T] {
	c := newConfig(opts)
	fallback, wrong := defaultOf[T](&c)
	if decode == nil {
		wrong = errors.New("nil decoder")
	}
	return newValue("New", store, upstream.OfKey(key), &keyFace[T]{decode: decode, fallback: fallback, keeps: c.lastKnown != nil}, c, wrong)
}

// newValue returns the Value of a subject. If an argument is wrong, every Get fails and reports that.
func newValue[T any](name string, store kv.Store, subject *upstream.Subject, face face[T], c config, wrong error) *Value[T] {
	v := new(Value[T])
	v.state.init(newSource(name, store, subject, face, c, wrong))
	v.supply.state = &v.state
	return v
}

// Key returns the key. It is empty if the value is one of a range of keys.
func (v *Value[T]) Key() string { return v.state.key() }

// Range returns the range of keys that the value is made of: the key, or the range of a Map or a bundle.
func (v *Value[T]) Range() kv.Range { return v.state.subject.Range }

// Get reads and decodes the key once, linearizably, without a watch. An absent key reads as the default. Without a default the error
// matches [kv.ErrNotFound]. For a value that does not decode the error is a [*DecodeError]. Get returns the store's errors as they
// are, and does not try again.
func (v *Value[T]) Get(ctx context.Context) (T, error) {
	var zero T
	s := &v.state.source
	if s.misuse != nil {
		return zero, s.misuse
	}
	snapshot, err := s.store.Get(ctx, s.subject.Range)
	if err != nil {
		return zero, err
	}
	place := s.subject.Place(snapshot, &upstream.Position{}, &upstream.Position{})
	u := s.face.found(upstream.Found{Snapshot: snapshot, Place: place}, 0)
	if !s.exists(u) {
		return zero, fmt.Errorf("value: get %v: %w", s.subject.Range, kv.ErrNotFound)
	}
	return u.value, u.err
}

// Latest returns the newest good value at hand. It does not block and does not ask the store, so it is fit for hot paths. It is kept
// current while a watcher is open, even if no Get is called, and stays as it is when no watcher is open. No watcher returns a good
// value before Latest has that value or a newer one. A value that does not decode does not replace a good one. ok is false before the
// first good value, and, without a default or [WithLatestAfterDeletion], while the key is deleted.
func (v *Value[T]) Latest() (r Reading[T], ok bool) {
	confirmed := v.state.fresh.Confirmed.Load() // first: what it confirms is in what is loaded after it
	newest := v.state.published.Load().newest
	u := v.state.latest.good.Load() // last: there is no newer good value up to newest
	if u == nil {
		return r, false
	}
	r = Reading[T]{
		Value: u.value, Revision: u.Revision, Confirmed: v.state.latest.confirmed(u, confirmed.Began),
		ModRevision: u.Entry.ModRevision, LastKnown: u.isLastKnown(),
	}
	if newest != nil && newest.isAfter(u) {
		r.ModRevision = newest.Entry.ModRevision
	}
	return r, true
}

// KeepCurrent keeps Latest current until stop is called, for programs that read nothing but Latest. It is a watcher that is not read, and
// returns at once: Latest has no value before the store has answered. stop may be called more than once.
func (v *Value[T]) KeepCurrent() (stop func()) {
	w := v.Watch()
	return func() { w.Close() }
}

// Watch opens a watcher. It must be closed. Its first Get returns the current value.
func (v *Value[T]) Watch(opts ...WatchOption) *Watcher[T] { return newWatcher(&v.supply, opts) }
