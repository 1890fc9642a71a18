package value

import (
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// keyFace shows one key as its decoded value.
type keyFace[T any] struct {
	decode   func([]byte) (T, error)
	fallback T    // of the absent key
	keeps    bool // the bytes of what it decodes
}

func (k *keyFace[T]) each() bool { return true }

func (k *keyFace[T]) since(u, _ *update[T]) (T, *update[T]) { return u.value, u }

func (k *keyFace[T]) asOf(u *update[T], _ kv.Revision) T { return u.value }

func (k *keyFace[T]) entries(u *update[T], _ map[string]bool) []kv.Entry {
	if !u.Present || u.kept == nil {
		return nil
	}
	return []kv.Entry{u.kept.entry}
}

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
	if k.keeps {
		u.kept = &kept{entry: e.Clone()}
	}
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
