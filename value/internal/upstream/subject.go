package upstream

import (
	"fmt"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/contents"
)

// Subject is what an upstream is about: one key, or a range of keys.
type Subject struct {
	Range kv.Range

	// Decode makes what the item of an entry keeps. was is the item that the key had before, nil if it had none. Decode is nil if the
	// subject is one key: then a [Position] holds the entry itself, and no Contents.
	Decode func(e kv.Entry, was *contents.Item) contents.Decoded
}

// OfKey is the subject that is one key.
func OfKey(key string) *Subject { return &Subject{Range: kv.Key(key)} }

func (s *Subject) isKey() bool { return s.Decode == nil }

// Key returns the key if the subject is one key. A range that holds at most one key is a range nevertheless.
func (s *Subject) Key() (key string, ok bool) {
	if !s.isKey() {
		return "", false
	}
	return s.Range.Key()
}

// Step is the subject after one revision that changed it.
type Step struct {
	Revision kv.Revision
	Event    kv.Event           // of one key: what changed it
	Contents *contents.Contents // of a range
	Size     int                // of the values that the revision has put
}

// Place is where a read shows the subject to be. Items that known has as well are known's: nothing is decoded twice. The stream, at
// streamed, may have brought good values that no read has seen.
func (s *Subject) Place(snapshot kv.Snapshot, known, streamed *Position) Position {
	p := Position{Revision: snapshot.Revision}
	if s.isKey() {
		if len(snapshot.Entries) > 0 {
			p.Put(snapshot.Entries[0])
		}
		return p
	}
	was := known.Contents
	if was == nil {
		was = contents.Empty()
	}
	items := make([]*contents.Item, len(snapshot.Entries))
	for i, e := range snapshot.Entries {
		item := was.Get(e.Key)
		if streamed.Contents != nil && streamed.Contents != was {
			item = betterOf(&e, item, streamed.Contents.Get(e.Key))
		}
		items[i] = s.item(e, item, nil)
	}
	p.Hold(was.Replace(items))
	return p
}

// betterOf is the item before e of two that may be: the one with the newer good value.
func betterOf(e *kv.Entry, a, b *contents.Item) *contents.Item {
	if b == nil || b.CreateRevision != e.CreateRevision || b.ModRevision > e.ModRevision {
		return a
	}
	if a == nil || a.CreateRevision != e.CreateRevision || a.GoodRevision() < b.GoodRevision() {
		return b
	}
	return a
}

// item is the item of e: one of the given items, if that is of e. But known may be of a read that has seen the bad value of e, and not the
// good one that was between.
func (s *Subject) item(e kv.Entry, was, known *contents.Item) *contents.Item {
	for _, i := range []*contents.Item{was, known} {
		if i != nil && i.Holds(&e) && (was == nil || was.CreateRevision != e.CreateRevision || i.GoodRevision() >= was.GoodRevision()) {
			return i
		}
	}
	i := contents.NewItem(&e) // first: the decoder may do with the bytes what it likes
	i.Decoded = s.Decode(e, was)
	return i
}

// Follow moves p over a batch of the stream after p. It returns the steps that are news, one for each revision: what the events of one
// revision leave between them was never seen. Unless each is set, only the last step is returned. known is another position, whose
// items are taken where they are the same. The steps are appended to room, which is empty. On [ErrLostEvent] p is unchanged.
func (s *Subject) Follow(p *Position, b kv.Batch, each bool, known *Position, room []Step) ([]Step, error) {
	next, steps := *p, room
	var edit *contents.Editor
	for _, ev := range b.Events {
		if !s.Range.Contains(ev.Key) || ev.ModRevision <= p.Revision {
			continue // a store at fault; taking it for news would go back
		}
		if edit == nil && !s.isKey() {
			edit = p.Contents.Edit()
		}
		if n := len(steps); n == 0 || steps[n-1].Revision != ev.ModRevision {
			if n > 0 && each && edit != nil {
				steps[n-1].Contents = edit.Contents()
			}
			if n == 0 || each {
				steps = append(steps, Step{})
			}
		}
		step := &steps[len(steps)-1]
		step.Revision, step.Size = ev.ModRevision, step.Size+len(ev.Value)
		var err error
		if s.isKey() {
			step.Event = ev
			err = next.follow(ev)
		} else {
			err = s.followOne(edit, next.Revision, ev, known)
			next.Revision = ev.ModRevision
		}
		if err != nil {
			return nil, err
		}
	}
	if edit != nil {
		next.Hold(edit.Contents())
		steps[len(steps)-1].Contents = next.Contents
	}
	next.Revision = max(next.Revision, b.Revision)
	*p = next
	return steps, nil
}

// followOne takes one event of a range, which is at revision, into edit.
func (s *Subject) followOne(edit *contents.Editor, revision kv.Revision, ev kv.Event, known *Position) error {
	was := edit.Get(ev.Key)
	one := positionOf(was, revision)
	if err := one.follow(ev); err != nil {
		return fmt.Errorf("key %q: %w", ev.Key, err)
	}
	if ev.Type == kv.EventDelete {
		edit.Delete(ev.Key)
		return nil
	}
	var other *contents.Item
	if known != nil && known.Contents != nil {
		other = known.Contents.Get(ev.Key)
	}
	edit.Put(s.item(ev.Entry, was, other))
	return nil
}

// UpTo is p after those events of b that are not after a revision, to be compared with another position: it decodes nothing.
func (s *Subject) UpTo(p Position, b kv.Batch, revision kv.Revision) Position {
	n := 0
	for n < len(b.Events) && b.Events[n].ModRevision <= revision {
		n++
	}
	s.undecoded().Follow(&p, kv.Batch{Events: b.Events[:n]}, false, nil, nil)
	return p
}

// Audit returns [ErrLostEvent] if b cannot follow p. It decodes nothing.
func (s *Subject) Audit(p Position, b kv.Batch) error {
	_, err := s.undecoded().Follow(&p, b, false, nil, nil)
	return err
}

// undecoded is s without its decoder, which may do with the bytes what it likes.
func (s *Subject) undecoded() *Subject {
	if s.isKey() {
		return s
	}
	return &Subject{Range: s.Range, Decode: func(kv.Entry, *contents.Item) contents.Decoded { return nil }}
}

// probe is a range of one key of the subject, of which a read costs little.
func (s *Subject) probe() kv.Range {
	from, _, _ := s.Range.Bounds()
	if from == "" {
		from = "\x00"
	}
	return kv.Key(from)
}

// isIn reports whether what a read has found, without the values, is what was expected, and is not older.
func (s *Subject) isIn(snapshot kv.Snapshot, e *Expected) bool {
	if snapshot.Revision < e.Place.Revision {
		return false
	}
	if s.isKey() {
		return len(snapshot.Entries) == 1 && SameEntry(&snapshot.Entries[0], &e.Place.Entry)
	}
	if len(snapshot.Entries) != e.Place.Contents.Len() {
		return false
	}
	n := 0
	for i := range e.Place.Contents.All(contents.In(s.Range)) {
		if !i.IsOf(&snapshot.Entries[n]) {
			return false
		}
		n++
	}
	return true
}
