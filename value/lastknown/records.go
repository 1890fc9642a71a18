package lastknown

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Records are the records of one cluster in a [Store], as value.WithLastKnown takes them. All methods may be called concurrently.
type Records struct {
	store   Store
	cluster []byte
}

// Of returns the records in s of the cluster that the program names: by anything that another cluster does not have, such as a name in its
// configuration. A record with another name is not believed. Nil is for a program that knows one cluster only.
func Of(s Store, cluster []byte) *Records { return &Records{store: s, cluster: bytes.Clone(cluster)} }

// Load returns the snapshot of r that was saved last, and when the store had confirmed it. If nothing was saved, the error matches
// [kv.ErrNotFound] and [ErrNothingSaved]. If it was saved for another cluster, it matches [ErrForeign].
func (r *Records) Load(ctx context.Context, of kv.Range) (kv.Snapshot, time.Time, error) {
	record, err := r.store.Load(ctx, of)
	switch {
	case errors.Is(err, ErrNothingSaved):
		return kv.Snapshot{}, time.Time{}, fmt.Errorf("%w: %w", kv.ErrNotFound, err)
	case err != nil:
		return kv.Snapshot{}, time.Time{}, err
	case !bytes.Equal(record.Cluster, r.cluster):
		return kv.Snapshot{}, time.Time{}, fmt.Errorf("lastknown: load %.256s: %w: it is of the cluster %q, and this one is %q",
			of.String(), ErrForeign, record.Cluster, r.cluster)
	}
	return record.Snapshot, record.Time, nil
}

// Save keeps s in the place of what was saved before for the range.
func (r *Records) Save(ctx context.Context, of kv.Range, s kv.Snapshot, confirmed time.Time) error {
	return r.store.Save(ctx, Record{Range: of, Snapshot: s, Cluster: r.cluster, Time: confirmed})
}
