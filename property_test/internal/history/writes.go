package history

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/kv"
)

// change names one event of the log: a key changes once in a revision.
type change struct {
	key string
	rev kv.Revision
}

// ledger finds, for each event of the log, the operation that made it.
type ledger struct {
	run    Run
	byKey  map[string]events.List
	events map[change]kv.Event
	maker  map[change]int // indexes operations
	// suspects are deletions that were not allowed to delete their key: their condition did not hold, or another client had already seen that
	// the key was gone. They are right only if another client has deleted the key and they found nothing.
	suspects map[change]int
}

// judgeWrites compares the writes with the log. It returns the operations as the log shows them. A write of unknown outcome that is in
// the log is done, at its revision. One that is not in the log is left out. A deletion of unknown outcome stays unknown, at a revision,
// where the log cannot tell whether it or another operation made that revision.
func (r Run) judgeWrites() ([]Operation, error) {
	l := ledger{
		run:      r,
		byKey:    r.Log.Events.ByKey(),
		events:   make(map[change]kv.Event),
		maker:    make(map[change]int),
		suspects: make(map[change]int),
	}
	for _, e := range r.Log.Events {
		l.events[change{e.Key, e.ModRevision}] = e
	}
	if err := l.matchPuts(r.Operations); err != nil {
		return nil, err
	}

	ops := slices.Clone(r.Operations)
	var lost []int // deletions of unknown outcome
	for i := range ops {
		o := &ops[i]
		switch {
		case o.IsRead() || o.Outcome == Conflict:
		case o.Outcome == Done:
			if err := l.claim(i, *o); err != nil {
				return nil, err
			}
		default:
			if rev, ok := l.seen(*o); ok {
				r.settle(o, rev)
				if err := l.claim(i, *o); err != nil {
					return nil, err
				}
			} else if onlyDeletes(*o) {
				lost = append(lost, i)
			}
		}
	}
	if err := r.matchDeletes(&l, ops, lost); err != nil {
		return nil, err
	}
	if err := l.judgeConditions(ops); err != nil {
		return nil, err
	}
	possible := l.otherMakers(ops, lost)
	happened := slices.DeleteFunc(ops, func(o Operation) bool { return o.Outcome == Unknown })
	return append(happened, possible...), nil
}

// settle notes that a write of unknown outcome has happened. No client knows when. It was not after the first answer that names its
// revision or a later one.
func (r Run) settle(o *Operation, rev kv.Revision) {
	o.Outcome, o.Revision, o.Return = Done, rev, r.seenBy(rev)
}

// seenBy returns the time at which a revision, or a later one, was first returned.
func (r Run) seenBy(rev kv.Revision) time.Duration {
	first := time.Duration(math.MaxInt64)
	for _, o := range r.Operations {
		if o.Outcome == Done && o.Revision >= rev {
			first = min(first, o.Return)
		}
	}
	return first
}

// matchPuts finds the operation of each put. No two puts have the same value.
func (l *ledger) matchPuts(ops []Operation) error {
	type put struct{ key, value string }
	maker := make(map[put]int)
	for i, o := range ops {
		for _, w := range o.Writes {
			if w.Type == kv.EventPut {
				maker[put{w.Key, string(w.Value)}] = i
			}
		}
	}
	revisions := make(map[int]kv.Revision)
	for _, e := range l.run.Log.Events {
		if e.Type != kv.EventPut {
			continue
		}
		i, ok := maker[put{e.Key, string(e.Value)}]
		switch {
		case !ok:
			return violation(ErrUnwritten, "%s", describeEvent(e))
		case ops[i].Outcome == Conflict:
			return violation(ErrUnwritten, "%s, although %v", describeEvent(e), ops[i])
		}
		if rev, twice := revisions[i]; twice && rev != e.ModRevision {
			return violation(ErrWrittenTwice, "%v, but it is there at %d and at %d", ops[i], rev, e.ModRevision)
		}
		revisions[i] = e.ModRevision
		l.maker[change{e.Key, e.ModRevision}] = i
	}
	return nil
}

// seen returns the revision of a write of unknown outcome, if one of its puts is in the log.
func (l *ledger) seen(o Operation) (kv.Revision, bool) {
	for _, w := range o.Writes {
		if w.Type != kv.EventPut {
			continue
		}
		for _, e := range l.byKey[w.Key] {
			if e.Type == kv.EventPut && string(e.Value) == string(w.Value) {
				return e.ModRevision, true
			}
		}
	}
	return 0, false
}

// claim notes that o made its events. o has happened, so all of them must be in the log.
func (l *ledger) claim(i int, o Operation) error {
	for _, w := range o.Writes {
		at := change{w.Key, o.Revision}
		e, ok := l.events[at]
		switch {
		case w.Type == kv.EventPut && (!ok || l.maker[at] != i || string(e.Value) != string(w.Value)):
			return violation(ErrLostWrite, "%v, but the log has no put of %s at %d", o, w.Key, o.Revision)
		case w.Type == kv.EventPut:
		case keyAt(l.byKey[w.Key], o.Revision).Version > 0:
			return violation(ErrLostWrite, "%v, but %s is there at that revision", o, w.Key)
		case !ok: // there was nothing to delete
		case !holds(w, keyAt(l.byKey[w.Key], o.Revision-1).ModRevision), o.Call > l.run.seenBy(o.Revision):
			l.suspects[at] = i
		default:
			// It may also have come after another deletion, and found nothing. Only for a conditional deletion does that make a
			// difference.
			if _, known := l.maker[at]; !known || len(w.Conditions) > 0 {
				l.maker[at] = i
			}
		}
	}
	return nil
}

// matchDeletes finds the operations of the deletions in the log that have none yet, among the deletions of unknown outcome. The earliest
// call gets the earliest deletion. That leaves the most for the other calls.
func (r Run) matchDeletes(l *ledger, ops []Operation, lost []int) error {
	slices.SortFunc(lost, func(a, b int) int { return cmp.Compare(ops[a].Call, ops[b].Call) })
	for _, e := range l.run.Log.Events {
		if e.Type != kv.EventDelete {
			continue
		}
		at := change{e.Key, e.ModRevision}
		if _, known := l.maker[at]; known {
			continue
		}
		was := keyAt(l.byKey[e.Key], e.ModRevision-1).ModRevision
		n := slices.IndexFunc(lost, func(i int) bool {
			w, ok := ops[i].written(e.Key)
			return ok && ops[i].Outcome == Unknown && holds(w, was)
		})
		if n < 0 {
			suspect, ok := l.suspects[at]
			if !ok {
				return violation(ErrUnwritten, "%s", describeEvent(e))
			}
			l.maker[at] = suspect
			continue
		}
		o := &ops[lost[n]]
		r.settle(o, e.ModRevision)
		if err := l.claim(lost[n], *o); err != nil {
			return err
		}
	}
	return nil
}

// otherMakers returns the deletions of unknown outcome that may have made a deletion of the log whose maker claims to be another one: an
// acknowledged deletion without a condition, which may have found nothing. A deletion of unknown outcome that may have made several of
// the log is there once for each, between the call of the put that it would have deleted and the first answer that shows the deletion. So few
// are possible at the same time, of which porcupine tries every set.
func (l *ledger) otherMakers(ops []Operation, lost []int) (possible []Operation) {
	for _, e := range l.run.Log.Events {
		i, known := l.maker[change{e.Key, e.ModRevision}]
		if e.Type != kv.EventDelete || !known || l.run.Operations[i].Outcome != Done || !onlyDeletes(ops[i]) {
			continue
		}
		if w, _ := ops[i].written(e.Key); len(w.Conditions) > 0 {
			continue
		}
		was, seen := keyAt(l.byKey[e.Key], e.ModRevision-1).ModRevision, l.run.seenBy(e.ModRevision)
		var after time.Duration
		if put, known := l.maker[change{e.Key, was}]; known {
			after = ops[put].Call
		}
		for _, j := range lost {
			o := ops[j]
			w, ok := o.written(e.Key)
			o.Call = max(o.Call, after)
			if ok && o.Outcome == Unknown && holds(w, was) && o.Call <= seen {
				o.Writes, o.Revision, o.Return = []kv.Op{w}, e.ModRevision, seen
				possible = append(possible, o)
			}
		}
	}
	return possible
}

// judgeConditions checks the conditions of each conditional write that has happened.
func (l *ledger) judgeConditions(ops []Operation) error {
	for i, o := range ops {
		if o.IsRead() || o.Outcome != Done {
			continue
		}
		for _, w := range o.Writes {
			rev := o.Revision
			if l.changed(i, o) {
				rev-- // the state before it
			}
			was := keyAt(l.byKey[w.Key], rev)
			if !holds(w, was.ModRevision) {
				return violation(ErrCondition, "%v, but before that %s was at %d", o, w.Key, was.ModRevision)
			}
		}
	}
	return nil
}

// changed reports whether o has made a revision. o has happened.
func (l *ledger) changed(i int, o Operation) bool {
	return slices.ContainsFunc(o.Writes, func(w kv.Op) bool {
		maker, ok := l.maker[change{w.Key, o.Revision}]
		return ok && maker == i
	})
}

func holds(w kv.Op, mod kv.Revision) bool {
	return !slices.ContainsFunc(w.Conditions, func(c kv.Condition) bool { return !c.Holds(mod) })
}

func onlyDeletes(o Operation) bool {
	return !slices.ContainsFunc(o.Writes, func(w kv.Op) bool { return w.Type == kv.EventPut })
}
