package history

import (
	"errors"

	"github.com/watchkv/watchkv/kv"
)

// judgeWatches compares what each watch yielded with the log.
func (r Run) judgeWatches() error {
	var errs []error
	for _, w := range r.Watches {
		errs = append(errs, w.judge(r.Log))
	}
	return errors.Join(errs...)
}

// watched is the state of the check of one watch, after some of its batches.
type watched struct {
	watch    Watch
	expected []kv.Event // the events that have to come
	seen     map[change]bool
	after    kv.Revision // the revision that the segment was begun with
	revision kv.Revision // of the last batch
	bookmark bool        // the last batch had no events
}

func (w Watch) judge(l Log) error {
	if len(w.Segments) == 0 {
		return violation(ErrComplete, "%s: it has never begun", w.Name)
	}
	s := watched{
		watch:    w,
		expected: l.Events.In(w.Range).After(w.Segments[0].After),
		seen:     make(map[change]bool),
		revision: w.Segments[0].After,
	}
	for i, segment := range w.Segments {
		if segment.After != s.revision {
			return violation(ErrResumable, "%s: it had come to %d and was begun again after %d", w.Name, s.revision, segment.After)
		}
		s.after = segment.After
		for n, batch := range segment.Batches {
			if batch.Revision > l.Until {
				break // no longer watched
			}
			err := s.take(batch)
			if err != nil && i > 0 && n == 0 {
				err = errors.Join(violation(ErrResumable, "%s: begun again after %d", w.Name, segment.After), err)
			}
			if err != nil {
				return err
			}
		}
	}
	if s.revision < l.Until || len(s.expected) > 0 {
		return s.missing(l.Until)
	}
	return nil
}

// take checks one batch.
func (s *watched) take(b kv.Batch) error {
	from := s.revision
	for i, e := range b.Events {
		if err := s.takeEvent(e, from); err != nil {
			return err
		}
		if i > 0 && e.ModRevision < b.Events[i-1].ModRevision {
			return violation(ErrOrdered, "%s: %s after %s", s.watch.Name, describeEvent(e), describeEvent(b.Events[i-1]))
		}
	}
	s.bookmark = b.IsBookmark()
	switch last := len(b.Events) - 1; {
	case b.Revision < from:
		return violation(ErrOrdered, "%s: a batch at %d after one at %d", s.watch.Name, b.Revision, from)
	case last >= 0 && b.Revision != b.Events[last].ModRevision:
		return violation(ErrBookmark, "%s: a batch at %d ends with %s", s.watch.Name, b.Revision, describeEvent(b.Events[last]))
	}
	s.revision = b.Revision
	return nil
}

// takeEvent compares one event with the next expected one. The batch before its batch was at revision from.
func (s *watched) takeEvent(e kv.Event, from kv.Revision) error {
	at := change{e.Key, e.ModRevision}
	switch {
	case !s.watch.Range.Contains(e.Key):
		return violation(ErrFiltered, "%s: %s in a watch of %v", s.watch.Name, describeEvent(e), s.watch.Range)
	case s.seen[at]:
		return violation(ErrUnique, "%s: %s", s.watch.Name, describeEvent(e))
	case e.ModRevision <= s.after && !s.awaited(at):
		return violation(ErrAfter, "%s: %s in a watch after %d", s.watch.Name, describeEvent(e), s.after)
	case e.ModRevision == from && !s.bookmark && s.awaited(at):
		return violation(ErrAtomic, "%s: %s, after a batch of that revision", s.watch.Name, describeEvent(e))
	case e.ModRevision <= from && s.bookmark:
		return violation(ErrBookmark, "%s: %s, after a bookmark at %d", s.watch.Name, describeEvent(e), from)
	case e.ModRevision < from:
		return violation(ErrOrdered, "%s: %s, after a batch at %d", s.watch.Name, describeEvent(e), from)
	}
	s.seen[at] = true
	if len(s.expected) == 0 {
		return violation(ErrUnwritten, "%s: %s", s.watch.Name, describeEvent(e))
	}
	next := s.expected[0]
	switch {
	case next.Key == e.Key && next.ModRevision == e.ModRevision:
		s.expected = s.expected[1:]
		if next.Type != e.Type || compare(e.Entry, next.Entry) != nil {
			return violation(ErrMetadata, "%s: %s, want %s", s.watch.Name, describeEvent(e), describeEvent(next))
		}
		return nil
	case !s.awaited(at):
		return violation(ErrUnwritten, "%s: %s", s.watch.Name, describeEvent(e))
	case next.ModRevision == e.ModRevision || s.comesLater(next):
		return violation(ErrOrdered, "%s: %s before %s", s.watch.Name, describeEvent(e), describeEvent(next))
	default:
		return violation(ErrComplete, "%s: %s without %s before it", s.watch.Name, describeEvent(e), describeEvent(next))
	}
}

// awaited reports whether an event still has to come.
func (s *watched) awaited(at change) bool {
	for _, e := range s.expected {
		if e.Key == at.key && e.ModRevision == at.rev {
			return true
		}
	}
	return false
}

// comesLater reports whether the watch yields e later.
func (s *watched) comesLater(e kv.Event) bool {
	for _, segment := range s.watch.Segments {
		for _, batch := range segment.Batches {
			for _, got := range batch.Events {
				if got.Key == e.Key && got.ModRevision == e.ModRevision {
					return true
				}
			}
		}
	}
	return false
}

// missing says which events up to a revision have not come.
func (s *watched) missing(until kv.Revision) error {
	if len(s.expected) == 0 {
		return violation(ErrComplete, "%s: it ends at %d, before %d", s.watch.Name, s.revision, until)
	}
	next := s.expected[0]
	switch {
	case next.ModRevision <= s.revision && s.bookmark:
		return violation(ErrBookmark, "%s: a bookmark at %d, and %s has not come", s.watch.Name, s.revision, describeEvent(next))
	default:
		return violation(ErrComplete, "%s: it ends at %d, and %s has not come", s.watch.Name, s.revision, describeEvent(next))
	}
}
