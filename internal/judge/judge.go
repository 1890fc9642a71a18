package judge

import (
	"slices"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// Check returns nil if h allows what the watcher returned, by the guarantees of package value. Otherwise it returns the first *[Violation].
// After a restore it may be unknown to which history an absence belongs. Then Check decides for the watcher.
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
			return j.report(r, i, broken("V11", "Get was refused, but no read was refused"))
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

// judge checks one record.
type judge struct {
	h         *History
	mode      Mode
	cancelled bool       // a Get was cancelled after the last return
	doubt     *Violation // why the first candidate does not allow the last return
}

// candidate is a possible place of a watcher in the history.
type candidate struct {
	epoch   int
	began   bool        // the watcher has returned a state of the key, or a gap
	seen    kv.Revision // an EveryUpdate watcher has returned everything up to here, or a gap excuses it
	last    Returned    // what it last returned for the key
	lastIn  int         // the epoch of last
	gap     bool        // the last return was a gap
	before  kv.Revision // seen before that gap
	awaited bool        // the key is absent where the gap ends, so the watcher has to return the absence
}

// step returns the candidates after the watcher has returned t. It returns none if t breaks a guarantee.
func (j *judge) step(at []candidate, t Returned) []candidate {
	var next []candidate
	j.doubt = nil
	for _, p := range at {
		for epoch := p.epoch; epoch < len(j.h.Epochs); epoch++ {
			if epoch > p.epoch && !p.began && t.What != Gap {
				break // that epoch has a candidate already
			}
			reached, err := j.move(p, epoch, t)
			if err != nil && (j.doubt == nil || j.doubt.Guarantee == "V3") { // prefer the error of an epoch in which the key was what t says
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

// move returns the possible places of a watcher after p, if t is of an epoch.
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

// goOn returns the possible places of a watcher at p in an epoch, if it returns no gap for the replaced history. It may not have noticed
// that the history was replaced, because everything that it has returned is in both histories.
func (j *judge) goOn(p candidate, epoch int) (all []candidate) {
	if epoch == p.epoch {
		return []candidate{p}
	}
	shared, q := j.h.shared(p.epoch, epoch), p
	q.epoch = epoch
	if !j.mode.Every || p.seen <= shared {
		all = append(all, q)
	}
	if j.mode.Every && p.gap && p.before <= shared { // the place where the gap ended does not exist any more
		q.gap, q.awaited, q.seen = false, false, p.before
		all = append(all, q)
	}
	return all
}

// check checks that a watcher at p may return t.
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

// wasSo checks that the key was what t says at the revision of t.
func (j *judge) wasSo(epoch int, t Returned) *Violation {
	was := j.h.Epochs[epoch].at(t.Revision)
	switch {
	case !t.is(was):
		return broken("V3", "returned %v, but at that revision the key was %v", t, was)
	case !j.mode.sees(was):
		return broken("V3", "returned %v, but the filter rejects that value", t)
	}
	return nil
}

// rises checks that t is newer than the last return.
func (j *judge) rises(p candidate, t Returned) *Violation {
	switch {
	case p.epoch > p.lastIn && j.mode.Filter:
		return nil // the filter may have rejected a value in between
	case t.What == p.last.What && t.What != Deleted && t.Revision == p.last.Revision && t.Text == p.last.Text:
		return broken(j.twice(t), "returned %v twice", t)
	case p.epoch == p.lastIn && t.Revision <= p.last.Revision:
		return broken("V5", "returned %v after %v", t, p.last)
	}
	return nil
}

// twice returns the guarantee that is broken if t is returned again.
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

// deletedOnce checks that the key existed since its deletion was last returned.
func (j *judge) deletedOnce(p candidate, t Returned) *Violation {
	e := &j.h.Epochs[p.epoch]
	switch {
	case p.last.What == Nothing && j.mode.Default:
		return nil
	case p.last.What == Nothing && !j.mode.Filter:
		return broken("V6", "returned %v, but had not returned the key before", t)
	case p.last.What == Nothing && p.epoch == 0 && !e.presentBetween(0, t.Revision):
		return broken("V6", "returned %v, but the key never existed", t)
	case p.last.What != Deleted:
		return nil
	case j.mode.Filter && p.epoch > p.lastIn:
		return nil // it is not known which values the filter rejected in between
	case (j.mode.Filter || j.mode.Every) && p.epoch == p.lastIn && e.presentBetween(p.last.Revision, t.Revision):
		return nil
	}
	return broken("V6", "returned %v after %v", t, p.last)
}

// isComplete reports whether a watcher at p has returned everything.
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

// unfinished returns the violation of a watcher that has not returned the last update.
func (j *judge) unfinished(u Update) *Violation {
	guarantee := map[State]string{Absent: "V6", Bad: "V7", Good: "V3"}[u.State]
	if j.cancelled {
		guarantee = "V8"
	}
	return broken(guarantee, "in the end the key is %v, but the watcher has not returned it", u)
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
