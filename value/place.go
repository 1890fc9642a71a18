package value

import (
	"fmt"
	"hash/maphash"

	"github.com/watchkv/watchkv/kv"
)

// place is a point in the history of one key: what the key was at a revision.
type place struct {
	revision kv.Revision
	present  bool
	entry    kv.Entry // without its bytes; zero when not present
	sum      uint64   // of the entry's bytes
}

// seed is for the sums, which are only compared within the process.
var seed = maphash.MakeSeed()

// placeOf is where s shows its one key to be.
func placeOf(s kv.Snapshot) place {
	p := place{revision: s.Revision}
	if len(s.Entries) > 0 {
		p.put(s.Entries[0])
	}
	return p
}

// since is the revision that made the key what it is, or one by which it was.
func (p place) since() kv.Revision {
	if p.present {
		return p.entry.ModRevision
	}
	return p.revision
}

func (p *place) put(e kv.Entry) {
	p.sum = maphash.Bytes(seed, e.Value)
	e.Value = nil
	p.present, p.entry = true, e
}

func (p *place) delete() { p.present, p.entry, p.sum = false, kv.Entry{}, 0 }

// sameAs reports whether the key is the very entry, or the same absence, at both places. Two absences
// may have had an entry between them. A restored store may give another value the revisions and the version of one
// that it has forgotten, which is why the bytes count as well.
func (p *place) sameAs(q *place) bool {
	return p.present == q.present && p.sum == q.sum && sameEntry(&p.entry, &q.entry)
}

func sameEntry(a, b *kv.Entry) bool {
	return a.ModRevision == b.ModRevision && a.CreateRevision == b.CreateRevision && a.Version == b.Version
}

// nothingBetween reports whether q follows p with at most the one update that made q, so that going on
// from q loses none.
func (p place) nothingBetween(q place) bool {
	if p.present && q.present {
		return sameEntry(&p.entry, &q.entry) ||
			q.entry.CreateRevision == p.entry.CreateRevision && q.entry.Version > 0 && q.entry.Version == p.entry.Version+1
	}
	return q.revision <= p.revision+1
}

// contradicts reports whether one history cannot hold both p and, read later, q: then the history was
// replaced between the two.
func (p place) contradicts(q place) bool {
	if q.revision < p.revision {
		return true
	}
	if !q.present {
		return p.present && q.revision == p.revision
	}
	if q.entry.ModRevision <= p.revision {
		return !p.sameAs(&q)
	}
	if p.present && q.entry.CreateRevision == p.entry.CreateRevision {
		// The same life of the key: every put between the two has a version of its own. A revision may hold several.
		return p.entry.Version != 0 && q.entry.Version != 0 && q.entry.Version <= p.entry.Version
	}
	return q.entry.CreateRevision <= p.revision
}

// mayPrecede reports whether q, read later, can follow the entry of p in one history, whatever p's revision says: then
// p's stream has passed the events that led to q without bringing them.
func (p place) mayPrecede(q place) bool {
	if !p.present || !q.present || q.revision < p.revision {
		return false
	}
	if p.entry.CreateRevision == q.entry.CreateRevision {
		return q.entry.ModRevision > p.entry.ModRevision && q.entry.Version > p.entry.Version
	}
	return q.entry.CreateRevision > p.entry.ModRevision
}

// upTo is p after those events of b that are not after a revision.
func (p place) upTo(key string, b kv.Batch, revision kv.Revision) place {
	n := 0
	for n < len(b.Events) && b.Events[n].ModRevision <= revision {
		n++
	}
	p.followAll(key, kv.Batch{Events: b.Events[:n]})
	return p
}

// follow moves p over one event of its key. It returns ErrLostEvent if the event cannot be the next one: revisions do
// not fall, and a version rises by one a put and begins at one.
func (p *place) follow(ev kv.Event) error {
	was := *p
	if ev.ModRevision < was.revision {
		return fmt.Errorf("%w: revision %d follows revision %d", ErrLostEvent, ev.ModRevision, was.revision)
	}
	p.revision = ev.ModRevision
	if ev.Type == kv.EventDelete {
		p.delete()
		if !was.present {
			return fmt.Errorf("%w: deleted at revision %d a key that was absent at %d", ErrLostEvent, ev.ModRevision, was.revision)
		}
		return nil
	}
	p.put(ev.Entry)
	if ev.Version == 0 {
		return nil // the store does not count versions
	}
	want, created := int64(1), ev.ModRevision
	if was.present {
		want, created = was.entry.Version+1, was.entry.CreateRevision
	}
	if ev.Version != want || ev.CreateRevision != created {
		return fmt.Errorf("%w: version %d (created at %d) at revision %d follows version %d (created at %d) at revision %d", ErrLostEvent,
			ev.Version, ev.CreateRevision, ev.ModRevision, was.entry.Version, was.entry.CreateRevision, was.revision)
	}
	return nil
}

// followAll moves p over a batch of the stream after p. It returns the events that are news, with only the
// last of each revision, since the key was never seen as the ones before it left it. On ErrLostEvent p is unchanged.
func (p *place) followAll(key string, b kv.Batch) ([]kv.Event, error) {
	next := *p
	var news []kv.Event
	for _, ev := range b.Events {
		if ev.Key != key || ev.ModRevision <= p.revision {
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
	next.revision = max(next.revision, b.Revision)
	*p = next
	return news, nil
}
