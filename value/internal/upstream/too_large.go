package upstream

import (
	"context"
	"errors"

	"github.com/watchkv/watchkv/kv"
)

// mostProofs bounds how often one read tries to prove which value was too large.
const mostProofs = 3

// readTooLarge makes r, of which the store has said that it is too large, a reading of the key without its value, where the
// store can read that. A watch after it goes past the value. The key may change at any time, so the value is read once more
// between two looks at the metadata: if those agree, it is this value that is too large.
func (u *upstream) readTooLarge(ctx context.Context, e Expected, r *reading) {
	s, ok := kv.As[kv.Stater](u.store)
	if !ok {
		return
	}
	key := u.subject.Range
	before, err := s.Stat(ctx, key)
	for range mostProofs {
		if err != nil || len(before.Entries) == 0 {
			break
		}
		snapshot, tooLarge := u.store.Get(ctx, key)
		if !errors.Is(tooLarge, kv.ErrTooLarge) {
			r.snapshot, r.err = snapshot, tooLarge
			return
		}
		var after kv.Snapshot
		if after, err = s.Stat(ctx, key); err != nil {
			break
		}
		if len(after.Entries) == 1 && SameEntry(&before.Entries[0], &after.Entries[0]) {
			r.snapshot, r.err, r.tooLarge = after, nil, tooLarge
			if e.Known && u.subject.isIn(after, &e) {
				r.unread = &e.Place // the watch may have brought it, in a message that was just small enough
			}
			return
		}
		before = after
	}
	if err != nil {
		r.err = err
	} else if len(before.Entries) == 0 {
		r.snapshot, r.err = before, nil // it was deleted meanwhile
	}
}
