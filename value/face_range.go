package value

import (
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/contents"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// rangeFace shows a range.
type rangeFace[T any] struct {
	show func(c *contents.Contents, at kv.Revision) (T, error) // what a range is that holds c at a revision
	// compare returns v for a watcher that has returned before. instead is what the watcher has returned then, if that is not v. compare is
	// nil if a value does not depend on the one before.
	compare   func(v, before T, sameHistory bool) (compared T, instead *T)
	moved     func(v T, to kv.Revision) T // nil if a value does not know its revision
	wantsEach bool
	saves     func(c *contents.Contents, expired map[string]bool) []kv.Entry // see face.entries
}

func (r *rangeFace[T]) each() bool { return r.wantsEach }

func (r *rangeFace[T]) since(u, before *update[T]) (T, *update[T]) {
	if r.compare == nil || before == nil {
		return u.value, u
	}
	v, instead := r.compare(u.value, before.value, u.epoch == before.epoch)
	if instead == nil {
		return v, u
	}
	given := *u
	given.value = *instead
	return v, &given
}

func (r *rangeFace[T]) asOf(u *update[T], revision kv.Revision) T {
	if r.moved == nil {
		return u.value
	}
	return r.moved(u.value, revision)
}

func (r *rangeFace[T]) entries(u *update[T], expired map[string]bool) []kv.Entry {
	return r.saves(u.Contents, expired)
}

func (r *rangeFace[T]) stepped(s upstream.Step, epoch uint64, made ...*update[T]) *update[T] {
	return r.holding(s.Contents, s.Revision, s.Size, epoch, made)
}

func (r *rangeFace[T]) found(f upstream.Found, epoch uint64, made ...*update[T]) *update[T] {
	return r.holding(f.Place.Contents, f.Place.Revision, 0, epoch, made)
}

func (r *rangeFace[T]) holding(c *contents.Contents, at kv.Revision, size int, epoch uint64, made []*update[T]) *update[T] {
	for _, u := range made {
		if u != nil && u.Contents == c && u.epoch == epoch {
			return u
		}
	}
	u := &update[T]{size: size, epoch: epoch}
	u.Hold(c)
	u.Revision = at
	for _, m := range made { // a read may have shown it before the watch
		if r.moved == nil && m != nil && m.epoch == epoch && m.SameAs(&u.Position) && (m.err == nil || m.Revision == at) {
			u.value, u.err = m.value, m.err
			return u
		}
	}
	u.value, u.err = r.show(c, at)
	return u
}
