package history

import (
	"errors"
	"maps"
	"slices"

	"github.com/watchkv/watchkv/kv"
)

// A Run is everything that is known about a range of keys while it was recorded.
type Run struct {
	Operations []Operation
	Watches    []Watch
	Log        Log
}

// Judge returns the mistakes in r, or nil. Each of them matches an error of this package.
func (r Run) Judge() error {
	happened, err := r.judgeWrites()
	if err := errors.Join(r.judgeLog(), err, r.judgeOrder(happened), r.judgeReads()); err != nil {
		return errors.Join(err, r.judgeWatches())
	}
	return errors.Join(judgeKeys(happened), r.judgeWatches())
}

// judgeLog checks the store's own history.
func (r Run) judgeLog() error {
	for i, e := range r.Log.Events {
		if i > 0 && e.ModRevision < r.Log.Events[i-1].ModRevision {
			return violation(ErrOrdered, "the log has %s after %s", describeEvent(e), describeEvent(r.Log.Events[i-1]))
		}
	}
	byKey := r.Log.Events.ByKey()
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		var was kv.Entry
		for _, e := range byKey[key] {
			want := kv.Entry{} // a deletion has nothing else
			if e.Type == kv.EventPut {
				want = e.Entry
				want.Version = was.Version + 1
				want.CreateRevision = was.CreateRevision
				if was.Version == 0 {
					want.CreateRevision = e.ModRevision
				}
				if !equal(e.Entry, want) {
					return violation(ErrMetadata, "the log has %s, want %s", describeEvent(e), describe(want))
				}
			}
			was = want
		}
	}
	return nil
}

// judgeReads compares each read with the log at its revision.
func (r Run) judgeReads() error {
	byKey := r.Log.Events.ByKey()
	keys := slices.Sorted(maps.Keys(byKey))
	for _, o := range r.Operations {
		if !o.IsRead() {
			continue
		}
		for _, e := range o.Entries {
			if _, known := byKey[e.Key]; !known {
				return violation(ErrUnwritten, "%v", o)
			}
		}
		for _, key := range keys {
			if !o.Range.Contains(key) {
				continue
			}
			want := keyAt(byKey[key], o.Revision)
			got, _ := o.found(key)
			if err := compare(got, want); err != nil {
				return violation(err, "%v\n\tbut at that revision it is %s", o, describe(want))
			}
		}
	}
	return nil
}

func compare(got, want kv.Entry) error {
	switch {
	case equal(got, want):
		return nil
	case got.Version > 0 && want.Version > 0 && string(got.Value) == string(want.Value):
		return ErrMetadata
	default:
		return ErrOneRevision
	}
}

func equal(a, b kv.Entry) bool {
	return a.Key == b.Key && string(a.Value) == string(b.Value) &&
		a.CreateRevision == b.CreateRevision && a.ModRevision == b.ModRevision && a.Version == b.Version
}
