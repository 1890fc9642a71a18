package upstream

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// ErrLostEvent: the versions of the key prove that the store's watch has left out an event.
var ErrLostEvent = errors.New("an event was lost")

// Audit keeps count of the events that one reader's watches have lost.
type Audit struct {
	health *Health
	after  kv.Revision // the revision after which an event was lost last; negative before the first loss
}

// NewAudit returns an Audit that has found nothing yet. What it finds is counted and logged by health.
func NewAudit(health *Health) Audit { return Audit{health: health, after: -1} }

// Lost counts and logs an event that a watch has lost after a revision. It reports whether the loss before was after the same revision.
// Then a second watch did not bring the event either, so the store itself does not have it.
func (a *Audit) Lost(err error, after kv.Revision) (again bool) {
	a.health.lost(err)
	again = a.after == after
	a.after = after
	return again
}

// follow moves p over one event of its key. It returns ErrLostEvent if the event cannot be the next one: revisions do
// not fall, and a version rises by one a put and begins at one.
func (p *Position) follow(ev kv.Event) error {
	was := *p
	if ev.ModRevision < was.Revision {
		return fmt.Errorf("%w: revision %d follows revision %d", ErrLostEvent, ev.ModRevision, was.Revision)
	}
	p.Revision, p.unknown = ev.ModRevision, false
	if ev.Type == kv.EventDelete {
		p.delete()
		if !was.Present && !was.unknown {
			return fmt.Errorf("%w: deleted at revision %d a key that was absent at %d", ErrLostEvent, ev.ModRevision, was.Revision)
		}
		return nil
	}
	p.Put(ev.Entry)
	if ev.Version == 0 || was.unknown {
		return nil // the store does not count versions, or there is none to compare with
	}
	want, created := int64(1), ev.ModRevision
	if was.Present {
		want, created = was.Entry.Version+1, was.Entry.CreateRevision
	}
	if ev.Version != want || ev.CreateRevision != created {
		return fmt.Errorf("%w: version %d (created at %d) at revision %d follows version %d (created at %d) at revision %d", ErrLostEvent,
			ev.Version, ev.CreateRevision, ev.ModRevision, was.Entry.Version, was.Entry.CreateRevision, was.Revision)
	}
	return nil
}

// Contradicts reports whether one history cannot hold both p and, read later, q: then the history was
// replaced between the two.
func (p Position) Contradicts(q Position) bool {
	if q.Revision < p.Revision {
		return true
	}
	if p.Contents != nil {
		return p.anyKey(q, Position.Contradicts)
	}
	if !q.Present {
		return p.Present && q.Revision == p.Revision
	}
	if q.Entry.ModRevision <= p.Revision {
		return !p.SameAs(&q)
	}
	if p.Present && q.Entry.CreateRevision == p.Entry.CreateRevision {
		// The key was not deleted in between: every put raised its version by one. A revision may hold several puts.
		return p.Entry.Version != 0 && q.Entry.Version != 0 && q.Entry.Version <= p.Entry.Version
	}
	return q.Entry.CreateRevision <= p.Revision
}

// anyKey reports whether one of two positions of a key of the range, at p and at q.
func (p Position) anyKey(q Position, one func(p, q Position) bool) bool {
	if p.sum == q.sum {
		return false
	}
	for _, c := range q.Contents.Changes(p.Contents) {
		if one(positionOf(c.Old, p.Revision), positionOf(c.New, q.Revision)) {
			return true
		}
	}
	return false
}

// MayPrecede reports whether q, read later, can follow the entry of p in one history, whatever p's revision says: then
// p's stream has passed the events that led to q without bringing them.
func (p Position) MayPrecede(q Position) bool {
	if q.Revision < p.Revision {
		return false
	}
	if p.Contents != nil {
		return !p.anyKey(q, func(p, q Position) bool { return p.Contradicts(q) && !p.MayPrecede(q) })
	}
	if !p.Present || !q.Present {
		return false
	}
	if p.Entry.CreateRevision == q.Entry.CreateRevision {
		return q.Entry.ModRevision > p.Entry.ModRevision && q.Entry.Version > p.Entry.Version
	}
	return q.Entry.CreateRevision > p.Entry.ModRevision
}
