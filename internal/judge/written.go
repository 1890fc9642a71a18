package judge

import (
	"context"
	"errors"

	"github.com/watchkv/watchkv/kv"
)

// Written is what a program writes: a key, by a [Writer], or a range of keys, by a [RangeWriter].
type Written interface {
	Put(context.Context) error
	PutBad(context.Context) error
	Delete(context.Context) error
	Resolve(context.Context) (upTo kv.Revision, err error)
	Excuse(before kv.Revision)
	Dropped()
	Refuse()
	Restore(ctx context.Context, restore func(context.Context) (kv.Revision, error)) error
	Writes() (acknowledged, unknown int)

	mark(context.Context) (kv.Revision, error)
}

// Forget makes the store forget its history up to now.
func Forget(ctx context.Context, w Written, compact func(context.Context, kv.Revision) error) error {
	upTo, err := w.Resolve(ctx)
	if err != nil {
		return err
	}
	w.Excuse(upTo)
	return compact(ctx, upTo)
}

// excuseCompaction allows watchers to return a gap, because a stream has just falsely reported history as gone.
func excuseCompaction(ctx context.Context, w Written) error {
	upTo, err := w.mark(ctx)
	if err == nil {
		w.Excuse(upTo + 2) // even a watcher that has seen everything may return a gap
	}
	return err
}

// untilDone makes a write until the store acknowledges it, refuses it, or ctx ends.
func untilDone(ctx context.Context, write func() error) error {
	for {
		err := write()
		if err == nil || ctx.Err() != nil || !errors.Is(err, kv.ErrUnavailable) {
			return err
		}
	}
}
