package kv

import "context"

// Summarizer is a [Store] that can say how many keys a range has, and which of them were put since a revision, without sending the others.
// If the range has many keys and few of them change, this takes only a few bytes.
type Summarizer interface {
	Store

	// Summarize returns the number of keys in r, and the entries that were put at revision since or later. It returns at most limit
	// entries, those with the first keys; a limit below one counts as one. S1 and S2 hold as for Get: the summary sees every write that
	// was acknowledged before the call, and all of it is of one revision.
	Summarize(ctx context.Context, r Range, since Revision, limit int) (Summary, error)
}

// Summary is what [Summarize] returns of a range.
type Summary struct {
	Revision Revision // everything is as it was at this revision
	Count    int      // the number of keys in the range
	Since    []Entry  // the entries that were put since, without values, sorted by key; nil if there is none
	More     bool     // there are more such entries than the limit allows
}

// Summarize returns the summary of r in s. It calls the store's own Summarize if s is a [Summarizer], and [Stat] otherwise. The errors
// are the store's.
func Summarize(ctx context.Context, s Store, r Range, since Revision, limit int) (Summary, error) {
	if s, ok := As[Summarizer](s); ok {
		return s.Summarize(ctx, r, since, limit)
	}
	snapshot, err := Stat(ctx, s, r)
	if err != nil {
		return Summary{}, err
	}
	summary := Summary{Revision: snapshot.Revision, Count: len(snapshot.Entries)}
	for _, e := range snapshot.Entries {
		summary.add(e, since, limit)
	}
	return summary, nil
}

// add takes the next entry of the range.
func (s *Summary) add(e Entry, since Revision, limit int) {
	switch {
	case e.ModRevision < since:
	case len(s.Since) < max(limit, 1):
		s.Since = append(s.Since, e)
	default:
		s.More = true
	}
}
