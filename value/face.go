package value

import (
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// update is one state of the key, or of the range, that a watcher can return. It is immutable, and shared by all watchers.
type update[T any] struct {
	upstream.Position        // its Revision is that of the put or the deletion
	value             T      // the decoded value, or the default of an absent key
	err               error  // a *DecodeError
	size              int    // of the encoded value
	gap               error  // why updates may be lost between the one before and this one; nil if none are
	kept              *kept  // nil unless the last known is kept
	epoch             uint64 // how often history was replaced before it
}

// isAfter reports whether u is newer than other.
func (u *update[T]) isAfter(other *update[T]) bool {
	return u.epoch > other.epoch || u.epoch == other.epoch && u.Revision > other.Revision
}

// kept is what an update has in addition if the last known is kept.
type kept struct {
	entry     kv.Entry  // of one key, with its bytes
	run       uint64    // of an update that was loaded: for which upstream; zero for any other
	confirmed time.Time // when the store confirmed an update that was loaded
}

// isLastKnown reports whether u was loaded.
func (u *update[T]) isLastKnown() bool { return u.kept != nil && u.kept.run != 0 }

// isTooOld reports whether u, which was loaded, was confirmed too long ago for a limit to staleness; zero is no limit. Of a time to come nobody
// knows how long ago it was: the clock was wrong then, or is wrong now.
func (u *update[T]) isTooOld(limit time.Duration) bool {
	age := time.Since(u.kept.confirmed)
	return limit > 0 && (age >= limit || age < 0)
}

// isAnOlder reports whether u, which was loaded, is a value that the store had before a newer one of the same life of the key. Of a range
// only the revisions are compared.
func (u *update[T]) isAnOlder(newest *update[T]) bool {
	if u.Contents != nil {
		return u.Revision <= newest.Revision
	}
	return u.Present && newest.Present && u.Entry.CreateRevision == newest.Entry.CreateRevision && u.Entry.ModRevision < newest.Entry.ModRevision
}

// bad is why what u shows is not the newest good value; nil if it is.
func (u *update[T]) bad() error {
	if u.err == nil && u.Contents != nil {
		return u.Contents.Bad()
	}
	return u.err
}

// face is how a Value shows its subject: a key, or a range of keys. Its methods return one of the updates made before, if that is the same.
// They may be called concurrently.
type face[T any] interface {
	// stepped returns the update that a step of a watch made.
	stepped(s upstream.Step, epoch uint64, made ...*update[T]) *update[T]
	// found returns the update that a read has found.
	found(f upstream.Found, epoch uint64, made ...*update[T]) *update[T]
	// since returns the value of u for a watcher that has returned the good value of before; before is nil if it has returned none. given is
	// what the watcher has returned then: u, or an update in place of u.
	since(u, before *update[T]) (v T, given *update[T])
	// asOf returns the value of u for a later revision, up to which nothing has changed.
	asOf(u *update[T], revision kv.Revision) T
	// entries returns the good entries of u, with bytes that are never changed, if the last known is kept. Of the expired keys of a range it
	// returns the bad entries that are the newest.
	entries(u *update[T], expired map[string]bool) []kv.Entry
	// each reports whether Latest may need an update that is not the last of its batch, as the last one may be bad.
	each() bool
}
