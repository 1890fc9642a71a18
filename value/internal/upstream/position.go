package upstream

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/contents"
)

// ErrLostEvent: the versions of the key prove that the store's watch has left out an event.
var ErrLostEvent = errors.New("an event was lost")

// Position is a point in the history of one key, or of a range of keys: what it was at a revision.
type Position struct {
	Revision kv.Revision
	Present  bool               // the key exists, or the range holds a key
	Entry    kv.Entry           // of one key, without its bytes; zero where the key is absent
	sum      uint64             // of the entry's bytes, or of the Contents
	Contents *contents.Contents // of a range; nil for one key
}

// positionOf is where a key of a range is that has the item i, or none.
func positionOf(i *contents.Item, revision kv.Revision) Position {
	p := Position{Revision: revision}
	if i != nil {
		p.Present, p.sum = true, i.Sum
		p.Entry = kv.Entry{Key: i.Key, CreateRevision: i.CreateRevision, ModRevision: i.ModRevision, Version: i.Version}
	}
	return p
}

// Hold makes c what the range holds.
func (p *Position) Hold(c *contents.Contents) {
	p.Contents, p.Present, p.sum = c, c.Len() > 0, c.Sum()
}

// Since is the revision that made the key what it is, or one by which it was.
func (p Position) Since() kv.Revision {
	if p.Present && p.Contents == nil {
		return p.Entry.ModRevision
	}
	return p.Revision
}

func (p *Position) Put(e kv.Entry) {
	p.sum = contents.Sum(e.Value)
	e.Value = nil
	p.Present, p.Entry = true, e
}

func (p *Position) delete() { p.Present, p.Entry, p.sum = false, kv.Entry{}, 0 }

// SameAs reports whether the key is the very entry, or the same absence, at both positions, or whether the range holds the very same
// entries. Two absences may have had an entry between them.
func (p *Position) SameAs(q *Position) bool {
	return p.Present == q.Present && p.sum == q.sum && SameEntry(&p.Entry, &q.Entry)
}

func SameEntry(a, b *kv.Entry) bool {
	return a.ModRevision == b.ModRevision && a.CreateRevision == b.CreateRevision && a.Version == b.Version
}

// NothingBetween reports whether q follows p with at most the one update that made q, so that going on
// from q loses none. A range may have held a key for a while that left no trace, so for it only the revisions prove that.
func (p Position) NothingBetween(q Position) bool {
	if p.Contents != nil {
		return q.Revision <= p.Revision+1
	}
	if p.Present && q.Present {
		return SameEntry(&p.Entry, &q.Entry) ||
			q.Entry.CreateRevision == p.Entry.CreateRevision && q.Entry.Version > 0 && q.Entry.Version == p.Entry.Version+1
	}
	return q.Revision <= p.Revision+1
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
		// The same life of the key: every put between the two has a version of its own. A revision may hold several.
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

// follow moves p over one event of its key. It returns errLostEvent if the event cannot be the next one: revisions do
// not fall, and a version rises by one a put and begins at one.
func (p *Position) follow(ev kv.Event) error {
	was := *p
	if ev.ModRevision < was.Revision {
		return fmt.Errorf("%w: revision %d follows revision %d", ErrLostEvent, ev.ModRevision, was.Revision)
	}
	p.Revision = ev.ModRevision
	if ev.Type == kv.EventDelete {
		p.delete()
		if !was.Present {
			return fmt.Errorf("%w: deleted at revision %d a key that was absent at %d", ErrLostEvent, ev.ModRevision, was.Revision)
		}
		return nil
	}
	p.Put(ev.Entry)
	if ev.Version == 0 {
		return nil // the store does not count versions
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
