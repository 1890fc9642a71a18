package judge

import (
	"slices"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// Check returns nil if what the watcher returned can be true of h and keeps the guarantees of package value, or the
// first *[Violation]. Where a store was restored it may be unknown which history an absence is of; the watcher
// gets the benefit of the doubt.
func Check(h *History, r Record) error {
	j := judge{h: h, mode: r.Mode}
	var at []candidate
	for epoch := range h.Epochs {
		at = append(at, candidate{epoch: epoch})
	}
	j.doubt = broken("V3", "nothing was returned")
	for i, t := range r.Returned {
		switch t.What {
		case Cancelled:
			j.cancelled = true
			continue
		case Refused:
			if h.Refused {
				continue
			}
			return j.report(r, i, broken("V11", "Get was refused where no read was"))
		case Failed:
			return j.report(r, i, broken("V11", "Get returned an error"))
		}
		if at = j.step(at, t); len(at) == 0 {
			return j.report(r, i, j.doubt)
		}
		j.cancelled = false
	}
	if r.Open && !slices.ContainsFunc(at, func(p candidate) bool { return j.isComplete(p, r) }) {
		return j.report(r, len(r.Returned)-1, j.unfinished(h.final()))
	}
	return nil
}

// judge follows one record.
type judge struct {
	h         *History
	mode      Mode
	cancelled bool       // a Get was, since the last thing returned
	doubt     *Violation // why the first candidate does not allow what was returned last
}

// candidate is a place in the history that a watcher may be at.
type candidate struct {
	epoch   int
	began   bool        // something was returned, a gap at least
	seen    kv.Revision // of an EveryUpdate watcher: all up to here was returned, or is excused by a gap
	last    Returned    // of the key
	lastIn  int         // the epoch that was of
	gap     bool        // it returned a gap, and nothing since
	before  kv.Revision // seen, before that gap
	awaited bool        // the gap went to where the key is absent, so the absence has to be returned
}

// step returns the candidates that can be reached by returning t, none if that breaks a guarantee.
func (j *judge) step(at []candidate, t Returned) []candidate {
	var next []candidate
	j.doubt = nil
	for _, p := range at {
		for epoch := p.epoch; epoch < len(j.h.Epochs); epoch++ {
			if epoch > p.epoch && !p.began && t.What != Gap {
				break // there is a candidate for that epoch
			}
			reached, err := j.move(p, epoch, t)
			if err != nil && (j.doubt == nil || j.doubt.Guarantee == "V3") { // of the epoch where it was so, if there is one
				j.doubt = err
			}
			for _, q := range reached {
				if !slices.Contains(next, q) {
					next = append(next, q)
				}
			}
		}
	}
	return next
}

// move returns where a watcher may be that was at p and has returned t, of an epoch.
func (j *judge) move(p candidate, epoch int, t Returned) (reached []candidate, err *Violation) {
	if t.What == Gap && t.Reset {
		return j.gap(p, epoch, t)
	}
	err = broken("V4", "returned %v of a history that replaced the one of %v, without a gap", t, p.last)
	for _, p := range j.goOn(p, epoch) {
		var next []candidate
		if t.What == Gap {
			next, err = j.gap(p, epoch, t)
		} else if err = j.check(p, t); err == nil {
			next = []candidate{{epoch: epoch, began: true, seen: t.Revision, last: t, lastIn: epoch}}
		}
		reached = append(reached, next...)
	}
	return reached, err
}

// goOn returns where a watcher at p may be in an epoch, unless it returns a gap: if the history was replaced, it may
// have noticed nothing, because all that it has seen is in both.
func (j *judge) goOn(p candidate, epoch int) (all []candidate) {
	if epoch == p.epoch {
		return []candidate{p}
	}
	shared, q := j.h.shared(p.epoch, epoch), p
	q.epoch = epoch
	if !j.mode.Every || p.seen <= shared {
		all = append(all, q)
	}
	if j.mode.Every && p.gap && p.before <= shared { // where the gap went to is not there any more
		q.gap, q.awaited, q.seen = false, false, p.before
		all = append(all, q)
	}
	return all
}

// check checks that t can be returned at p.
func (j *judge) check(p candidate, t Returned) *Violation {
	err := j.wasSo(p.epoch, t)
	if err == nil && p.last.What != Nothing {
		err = j.rises(p, t)
	}
	if err == nil && t.What == Deleted {
		err = j.deletedOnce(p, t)
	}
	if err == nil && j.mode.Every && p.began {
		err = j.inTurn(p, t)
	}
	return err
}

// wasSo checks that the key was what t says, when it was returned.
func (j *judge) wasSo(epoch int, t Returned) *Violation {
	was := j.h.Epochs[epoch].at(t.Revision)
	switch {
	case !t.is(was):
		return broken("V3", "returned %v, where the key was %v", t, was)
	case !j.mode.sees(was):
		return broken("V3", "returned %v, which it asked to skip", t)
	}
	return nil
}

// rises checks that t is newer than what was returned last.
func (j *judge) rises(p candidate, t Returned) *Violation {
	switch {
	case p.epoch > p.lastIn && j.mode.Filter:
		return nil // it may have passed over something in between
	case t.What == p.last.What && t.What != Deleted && t.Revision == p.last.Revision && t.Text == p.last.Text:
		return broken(j.twice(t), "returned %v twice", t)
	case p.epoch == p.lastIn && t.Revision <= p.last.Revision:
		return broken("V5", "returned %v after %v", t, p.last)
	}
	return nil
}

// twice is the guarantee that is broken when t is returned again.
func (j *judge) twice(t Returned) string {
	switch {
	case t.What == Deleted:
		return "V6"
	case t.What == BadValue:
		return "V7"
	case j.mode.Every:
		return "V4"
	}
	return "V13"
}

// deletedOnce checks that a key whose deletion is returned was there since the deletion was last returned.
func (j *judge) deletedOnce(p candidate, t Returned) *Violation {
	e := &j.h.Epochs[p.epoch]
	switch {
	case p.last.What == Nothing && j.mode.Default:
		return nil
	case p.last.What == Nothing && !j.mode.Filter:
		return broken("V6", "returned %v of a key that it had not returned", t)
	case p.last.What == Nothing && p.epoch == 0 && !e.presentBetween(0, t.Revision):
		return broken("V6", "returned %v of a key that never was", t)
	case p.last.What != Deleted:
		return nil
	case j.mode.Filter && p.epoch > p.lastIn:
		return nil // what was passed over in between is not known
	case (j.mode.Filter || j.mode.Every) && p.epoch == p.lastIn && e.presentBetween(p.last.Revision, t.Revision):
		return nil
	}
	return broken("V6", "returned %v after %v", t, p.last)
}

// isComplete reports whether a watcher that ends at p has returned all that there is.
func (j *judge) isComplete(p candidate, r Record) bool {
	if p.awaited || !r.Mode.ends(lastOf(r.Returned), j.h.final()) {
		return false
	}
	last := len(j.h.Epochs) - 1
	if !j.mode.Every || !p.began || p.epoch < last && p.seen > j.h.shared(p.epoch, last) {
		return true
	}
	_, missing := j.next(last, p.seen)
	return !missing
}

// unfinished is the violation of a watcher that has not returned the last update.
func (j *judge) unfinished(u Update) *Violation {
	guarantee := map[State]string{Absent: "V6", Bad: "V7", Good: "V3"}[u.State]
	if j.cancelled {
		guarantee = "V8"
	}
	return broken(guarantee, "in the end the key is %v, and the watcher has not returned it", u)
}

// report completes v with what the watcher returned up to place i.
func (j *judge) report(r Record, i int, v *Violation) error {
	const most = 12
	v.Watcher = r.Mode.Name
	var texts []string
	from := max(0, i+1-most)
	if from > 0 {
		texts = append(texts, "...")
	}
	for _, t := range r.Returned[from : i+1] {
		texts = append(texts, t.String())
	}
	v.Returned = strings.Join(texts, "; ")
	return v
}
