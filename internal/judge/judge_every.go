package judge

import "github.com/watchkv/watchkv/kv"

// next returns the first update of an epoch after a revision that an EveryUpdate watcher has to return.
func (j *judge) next(epoch int, after kv.Revision) (u Update, ok bool) {
	e := &j.h.Epochs[epoch]
	for _, u := range e.Updates[e.index(after):] {
		if j.mode.sees(u) {
			return u, true
		}
	}
	return Update{}, false
}

// inTurn checks that t is the next update after p.
func (j *judge) inTurn(p candidate, t Returned) *Violation {
	if p.awaited {
		if t.What == Deleted && t.Revision >= p.seen {
			return nil
		}
		return broken("V6", "returned %v, but had to return first that the key was absent where the last gap ended", t)
	}
	next, ok := j.next(p.epoch, p.seen)
	switch {
	case t.Revision <= p.seen:
		return broken(j.twice(t), "returned %v, but had returned everything up to %d before", t, p.seen)
	case !ok:
		return broken("V4", "returned %v, but there was no further update", t)
	case t.is(next) && j.h.Epochs[p.epoch].at(t.Revision) == next:
		return nil
	}
	return broken(j.loss(next), "returned %v, but had to return first that the key was %v", t, next)
}

// loss returns the guarantee that is broken if u was not returned.
func (j *judge) loss(u Update) string {
	switch {
	case j.cancelled:
		return "V8"
	case u.State == Absent:
		return "V6"
	case u.State == Bad:
		return "V7"
	}
	return "V4"
}

// gap returns the possible places of a watcher at p after it has returned a gap into an epoch.
func (j *judge) gap(p candidate, epoch int, t Returned) ([]candidate, *Violation) {
	switch last := len(j.h.Epochs) - 1; {
	case !j.mode.Every:
		return nil, broken("V4", "a watcher of the newest value returned %v", t)
	case t.Reset && p.epoch == last:
		return nil, broken("V4", "returned %v, but no history was replaced", t)
	case !t.Reset && t.To <= t.From:
		return nil, broken("V4", "returned %v, which is empty", t)
	}
	if err := j.honest(p, t); err != nil {
		return nil, err
	}
	return j.land(p, epoch, t.To), nil
}

// honest checks that a gap begins where the watcher is, and that there is a reason for it.
func (j *judge) honest(p candidate, t Returned) *Violation {
	e := &j.h.Epochs[p.epoch]
	switch {
	case t.Reset && p.gap:
		return nil // it begins where the gap before it began, perhaps in another history
	case t.From < p.seen:
		return broken("V4", "returned %v, but had returned everything up to %d before, or a gap for it", t, p.seen)
	case p.awaited:
		return broken("V6", "returned %v, but had to return first that the key was absent where the last gap ended", t)
	case t.Lost && !e.Dropped:
		return broken("V4", "returned %v, but no event was lost", t)
	case !t.Reset && !t.Lost && t.From >= e.Forgotten-1:
		return broken("V4", "returned %v, but the store has forgotten nothing after revision %d", t, t.From)
	}
	if next, ok := j.next(p.epoch, p.seen); p.began && ok && next.Revision <= t.From {
		return broken(j.loss(next), "returned %v, but had to return first that the key was %v", t, next)
	}
	return nil
}

// land returns the possible places of a watcher at p after a gap that ends at a revision of an epoch. Next the watcher must return what the
// key was at that revision, unless it has returned that already.
func (j *judge) land(p candidate, epoch int, to kv.Revision) []candidate {
	u := j.h.Epochs[epoch].at(to)
	q := candidate{epoch: epoch, began: true, seen: to, last: p.last, lastIn: p.lastIn, gap: true, before: p.seen}
	if p.gap {
		q.before = p.before
	}
	if u.State != Absent {
		q.seen = u.Revision
	}
	awaiting := q
	if u.State == Absent {
		awaiting.awaited = true
	} else {
		awaiting.seen--
	}
	switch isNews := !p.last.is(u) || p.last.What == Nothing && j.mode.Default; {
	case !j.mode.sees(u):
		return []candidate{q}
	case isNews:
		return []candidate{awaiting}
	case j.mode.Filter:
		return []candidate{awaiting, q} // the filter may have rejected a value in between
	}
	return []candidate{q}
}
