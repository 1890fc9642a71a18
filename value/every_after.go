package value

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// begin begins at the newest state, or after the revision of [EveryUpdateAfter]. What came between that and the newest state is in the
// store's history: the backlog may not have been kept.
func (e *everyUpdate[T]) begin(now *published[T], confirmed *upstream.Confirmation) error {
	u, upTo := e.newest(now, confirmed)
	switch {
	case e.after == nil:
		e.goOnFrom(u, upTo)
	case upTo.Revision < *e.after:
		e.at.Revision = *e.after
		err := e.gap(u.Revision, fmt.Errorf("%w: the store has not reached the revision to continue after", kv.ErrReset))
		e.goOnFrom(u, upTo)
		return err
	case u.Position.Since() <= *e.after:
		e.epoch, e.at = u.epoch, upTo
	default:
		e.epoch, e.at, e.readTo = u.epoch, upstream.UnknownAt(*e.after), u.Position.Since()
	}
	return nil
}

// continues reports whether the watcher continues after a revision. Then its first update may be a deletion.
func (e *everyUpdate[T]) continues() bool { return e != nil && e.after != nil }

// wrongAfter returns why the updates of s cannot be continued after a revision, or nil.
func wrongAfter(after kv.Revision, s *upstream.Subject) error {
	var wrong error
	switch _, isKey := s.Key(); {
	case after < 0:
		wrong = errors.New("negative")
	case !isKey:
		wrong = errors.New("want a Value of one key: no store can read what a range held at an old revision")
	default:
		return nil
	}
	return misuse{fmt.Errorf("value: EveryUpdateAfter(%d) of %v: %w", after, s.Range, wrong)}
}
