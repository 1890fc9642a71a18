package upstream

import (
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/contents"
)

// Position is a point in the history of one key, or of a range of keys: what it was at a revision.
type Position struct {
	Revision kv.Revision
	Present  bool               // the key exists, or the range holds a key
	unknown  bool               // what the key was is not known, so any event can follow
	Entry    kv.Entry           // of one key, without its bytes; zero where the key is absent
	sum      uint64             // of the entry's bytes, or of the Contents
	Contents *contents.Contents // of a range; nil for one key
}

// UnknownAt is a position of one key at a revision at which it was never read.
func UnknownAt(revision kv.Revision) Position { return Position{Revision: revision, unknown: true} }

// positionOf is where a key of a range is that has the item i, or none.
func positionOf(i *contents.Item, revision kv.Revision) Position {
	p := Position{Revision: revision}
	if i != nil {
		p.Present, p.sum = true, i.Sum()
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
