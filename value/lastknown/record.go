package lastknown

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Store keeps records, one for each range. Its methods may be called concurrently.
type Store interface {
	// Load returns the record of r that was saved last. If there is none, the error matches [ErrNothingSaved]. The record belongs
	// to the caller.
	Load(ctx context.Context, r kv.Range) (Record, error)

	// Save keeps the record instead of an earlier one of the same range. It neither changes the record's bytes nor keeps them after it returns.
	// A record that is not valid is [ErrInvalid].
	Save(ctx context.Context, record Record) error
}

// Record is what was known of a range of keys at one time.
type Record struct {
	// Range is the range: one key, a prefix or more. Ranges of the same keys are the same range.
	Range kv.Range
	// Snapshot holds all entries of the range at its Revision. It has none if the range was empty then.
	Snapshot kv.Snapshot
	// Cluster identifies the store's history, if the program knows something that does: the revisions of another history mean
	// nothing. Nil means that it is not known. The bytes are kept as they are.
	Cluster []byte
	// Time is when the store confirmed the snapshot. If it is zero, Save uses the present time.
	Time time.Time
}

// The errors of this package, in addition to those of the file system and of the context. Test for them with [errors.Is].
var (
	// ErrNothingSaved: no record of the range was saved.
	ErrNothingSaved = errors.New("nothing saved")
	// ErrDamaged: the record is incomplete, or was changed after it was saved.
	ErrDamaged = errors.New("damaged")
	// ErrForeign: what is there is of another range or another program, or in a format that this version does not know.
	ErrForeign = errors.New("foreign")
	// ErrInvalid: the record to save is not one that a store can have returned.
	ErrInvalid = errors.New("invalid record")
)

// validate returns nil, or why no store can have returned the record.
func (r *Record) validate() error {
	if err := r.Range.Validate(); err != nil {
		return err
	}
	if r.Snapshot.Revision < 0 {
		return fmt.Errorf("revision %d is negative", r.Snapshot.Revision)
	}
	before := ""
	for i := range r.Snapshot.Entries {
		e := &r.Snapshot.Entries[i]
		switch {
		case !r.Range.Contains(e.Key):
			return fmt.Errorf("%.64q is not in the range %v", e.Key, r.Range)
		case e.Key <= before:
			return fmt.Errorf("%.64q is not sorted", e.Key)
		case e.CreateRevision < 1 || e.ModRevision < e.CreateRevision || r.Snapshot.Revision < e.ModRevision || e.Version < 1:
			return fmt.Errorf("%.64q has version %d, made at revision %d and put at %d, in a store at %d",
				e.Key, e.Version, e.CreateRevision, e.ModRevision, r.Snapshot.Revision)
		}
		before = e.Key
	}
	return nil
}
