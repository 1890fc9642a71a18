package upstream

import (
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/watchkv/watchkv/kv"
)

// ErrLostEvent: the versions of the key prove that the store's watch has left out an event.
var ErrLostEvent = errors.New("an event was lost")

// place is a point in the history of one key: what the key was at a revision.
type Position struct {
	Revision kv.Revision
	Present  bool
	Entry    kv.Entry // without its bytes; zero when not present
	sum      uint64   // of the entry's bytes
}

// seed is for the sums, which are only compared within the process.
var seed = maphash.MakeSeed()

// placeOf is where s shows its one key to be.
func placeOf(s kv.Snapshot) Position {
	p := Position{Revision: s.Revision}
	if len(s.Entries) > 0 {
		p.Put(s.Entries[0])
	}
	return p
}

// Since is the revision that made the key what it is, or one by which it was.
func (p Position) Since() kv.Revision {
	if p.Present {
		return p.Entry.ModRevision
	}
	return p.Revision
}

func (p *Position) Put(e kv.Entry) {
	p.sum = maphash.Bytes(seed, e.Value)
	e.Value = nil
	p.Present, p.Entry = true, e
}

func (p *Position) delete() { p.Present, p.Entry, p.sum = false, kv.Entry{}, 0 }

// SameAs reports whether the key is the very entry, or the same absence, at both places. Two absences
// may have had an entry between them. A restored store may give another value the revisions and the version of one
// that it has forgotten, which is why the bytes count as well.
func (p *Position) SameAs(q *Position) bool {
	return p.Present == q.Present && p.sum == q.sum && SameEntry(&p.Entry, &q.Entry)
}

func SameEntry(a, b *kv.Entry) bool {
	return a.ModRevision == b.ModRevision && a.CreateRevision == b.CreateRevision && a.Version == b.Version
}

// NothingBetween reports whether q follows p with at most the one update that made q, so that going on
// from q loses none.
func (p Position) NothingBetween(q Position) bool {
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

// MayPrecede reports whether q, read later, can follow the entry of p in one history, whatever p's revision says: then
// p's stream has passed the events that led to q without bringing them.
func (p Position) MayPrecede(q Position) bool {
	if !p.Present || !q.Present || q.Revision < p.Revision {
		return false
	}
	if p.Entry.CreateRevision == q.Entry.CreateRevision {
		return q.Entry.ModRevision > p.Entry.ModRevision && q.Entry.Version > p.Entry.Version
	}
	return q.Entry.CreateRevision > p.Entry.ModRevision
}

// UpTo is p after those events of b that are not after a revision.
func (p Position) UpTo(key string, b kv.Batch, revision kv.Revision) Position {
	n := 0
	for n < len(b.Events) && b.Events[n].ModRevision <= revision {
		n++
	}
	p.FollowAll(key, kv.Batch{Events: b.Events[:n]})
	return p
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

// FollowAll moves p over a batch of the stream after p. It returns the events that are news, with only the
// last of each revision, since the key was never seen as the ones before it left it. On errLostEvent p is unchanged.
func (p *Position) FollowAll(key string, b kv.Batch) ([]kv.Event, error) {
	next := *p
	var news []kv.Event
	for _, ev := range b.Events {
		if ev.Key != key || ev.ModRevision <= p.Revision {
			continue // a store at fault; taking it for news would go back
		}
		if err := next.follow(ev); err != nil {
			return nil, err
		}
		if n := len(news); n > 0 && news[n-1].ModRevision == ev.ModRevision {
			news[n-1] = ev
		} else {
			news = append(news, ev)
		}
	}
	next.Revision = max(next.Revision, b.Revision)
	*p = next
	return news, nil
}
