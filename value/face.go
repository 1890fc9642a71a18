package value

import (
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/contents"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// face is how a Value shows its subject: a key, or a range of keys. Its methods return one of the updates made before, if that is the same.
// They may be called concurrently.
type face[T any] interface {
	// stepped returns the update that a step of a watch made.
	stepped(s upstream.Step, epoch uint64, made ...*update[T]) *update[T]
	// found returns the update that a read has found.
	found(f upstream.Found, epoch uint64, made ...*update[T]) *update[T]
	// since returns the value of u as a watcher returns it that has returned the good value of before, or none if that is nil. given is what
	// the watcher has then returned: u, or an update in its place.
	since(u, before *update[T]) (v T, given *update[T])
	// asOf returns the value of u, which is also the value at a later revision, as it is returned at that.
	asOf(u *update[T], revision kv.Revision) T
	// each reports whether the updates between the newest and the one before count for Latest.
	each() bool
}

// keyFace shows one key as its decoded value.
type keyFace[T any] struct {
	decode   func([]byte) (T, error)
	fallback T // of the absent key
}

func (k *keyFace[T]) each() bool { return true }

func (k *keyFace[T]) since(u, _ *update[T]) (T, *update[T]) { return u.value, u }

func (k *keyFace[T]) asOf(u *update[T], _ kv.Revision) T { return u.value }

func (k *keyFace[T]) stepped(s upstream.Step, epoch uint64, made ...*update[T]) *update[T] {
	if s.Event.Type == kv.EventDelete {
		return k.absent(s.Revision, epoch)
	}
	return k.present(s.Event.Entry, epoch, made)
}

func (k *keyFace[T]) found(f upstream.Found, epoch uint64, made ...*update[T]) *update[T] {
	if !f.Place.Present {
		return k.absent(f.Place.Revision, epoch)
	}
	if f.TooLarge != nil {
		return k.tooLarge(f.Entries[0], f.TooLarge, epoch, made)
	}
	return k.present(f.Entries[0], epoch, made)
}

func (k *keyFace[T]) absent(at kv.Revision, epoch uint64) *update[T] {
	return &update[T]{Position: upstream.Position{Revision: at}, value: k.fallback, epoch: epoch}
}

func (k *keyFace[T]) present(e kv.Entry, epoch uint64, made []*update[T]) *update[T] {
	if u := k.same(e, epoch, made); u != nil {
		return u
	}
	u := &update[T]{size: len(e.Value), epoch: epoch}
	u.Put(e) // first: the decoder may do with the bytes what it likes
	u.Revision = e.ModRevision
	u.value, u.err = decodeEntry(k.decode, e)
	return u
}

// tooLarge is the update of an entry whose value cannot be had.
func (k *keyFace[T]) tooLarge(e kv.Entry, why error, epoch uint64, made []*update[T]) *update[T] {
	if u := k.same(e, epoch, made); u != nil {
		return u
	}
	u := &update[T]{
		size:  upstream.StatAbove + 1, // so that a check looks at the metadata first
		epoch: epoch,
		err:   &DecodeError{Key: e.Key, Range: kv.Key(e.Key), Revision: e.ModRevision, Err: why},
	}
	u.Put(e)
	u.Revision = e.ModRevision
	return u
}

func (k *keyFace[T]) same(e kv.Entry, epoch uint64, made []*update[T]) *update[T] {
	for _, u := range made {
		if u != nil && u.Present && u.epoch == epoch && upstream.SameEntry(&u.Entry, &e) {
			return u
		}
	}
	return nil
}

// rangeFace shows a range.
type rangeFace[T any] struct {
	show func(c *contents.Contents, at kv.Revision) (T, error) // what a range is that holds c at a revision
	// compare returns v as it is returned after before, and what the watcher has then returned, if that is not v itself. It is nil if a value
	// does not depend on the one before.
	compare   func(v, before T, sameHistory bool) (compared T, instead *T)
	moved     func(v T, to kv.Revision) T // nil if a value does not know its revision
	wantsEach bool
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
	u.value, u.err = r.show(c, at)
	return u
}
