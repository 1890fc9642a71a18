package history

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// judgeOrder compares revisions with real time. Revisions count for the whole store. An answer must not be older than a write that was
// acknowledged before the call. A write makes a revision that no client has seen before.
func (r Run) judgeOrder(ops []Operation) error {
	byCall := slices.SortedFunc(slices.Values(ops), func(a, b Operation) int { return cmp.Compare(a.Call, b.Call) })
	byReturn := slices.SortedFunc(slices.Values(r.Operations), func(a, b Operation) int { return cmp.Compare(a.Return, b.Return) })
	byReturn = slices.DeleteFunc(byReturn, func(o Operation) bool { return o.Outcome != Done })
	var (
		newest    Operation // the newest of those that had returned
		conflicts []error   // these count only if no answer was too old
	)
	n := 0
	for _, o := range byCall {
		for ; n < len(byReturn) && byReturn[n].Return < o.Call; n++ {
			if byReturn[n].Revision > newest.Revision {
				newest = byReturn[n]
			}
		}
		if o.Outcome == Done && (o.Revision < newest.Revision || o.Revision == newest.Revision && !mayChangeNothing(o)) {
			return violation(ErrLinearizable, "%v,\n\tthough before it was called %v", o, newest)
		}
		if o.Outcome == Conflict && !r.couldConflict(o, newest.Revision, r.before(o.Return)) {
			conflicts = append(conflicts, violation(ErrConflict, "%v", o))
		}
	}
	return errors.Join(conflicts...)
}

// mayChangeNothing reports whether the answer to o may have a revision that existed before.
func mayChangeNothing(o Operation) bool { return onlyDeletes(o) && o.Return >= o.Call }

// before returns the highest revision that the store may have had at the given time. It is not higher than the revision of any answer to
// a call that began later.
func (r Run) before(at time.Duration) kv.Revision {
	rev := kv.Revision(math.MaxInt64)
	for _, o := range r.Operations {
		if o.Call > at && o.Outcome == Done {
			rev = min(rev, o.Revision)
		}
	}
	return rev
}

// couldConflict reports whether a condition of o did not hold at any revision from first to last.
func (r Run) couldConflict(o Operation, first, last kv.Revision) bool {
	for _, w := range o.Writes {
		was := kv.Revision(0)
		for _, e := range r.Log.Events {
			if e.Key != w.Key || e.ModRevision > last {
				continue
			}
			if e.ModRevision > first && !holds(w, was) {
				return true // from before the event
			}
			was = e.ModRevision
			if e.Type == kv.EventDelete {
				was = 0
			}
		}
		if !holds(w, was) {
			return true
		}
	}
	return false
}
