package backend

import (
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// Point is a revision of a storage with its mark. The mark shows which history the revision is of: it is something that the
// storage keeps with a change and would not choose twice, such as a random number or a time.
type Point[M comparable] struct {
	Revision kv.Revision
	Mark     M
}

// Histories notices that the history of a storage was replaced (W13), and remembers of which history each revision is that the store
// has returned to a caller, by whichever method. A history is a number: zero for the first, and one more after each replacement. The
// zero Histories is ready for use. Its methods may be called concurrently.
//
// Every request of the store does this:
//
//	before := s.histories.Known()                       // before the request is sent
//	...                                                 // the answer has the newest Point, and the mark at before.Newest.Revision
//	history := s.histories.Found(before, newest, &mark)
//	s.histories.Return(history, revision)               // for each revision that the caller gets
//
// A watch begins in the history Of(after). It ends with [kv.ErrReset] when Found or Current returns another one.
//
// Histories knows what this store has seen. A new process that is given a revision cannot know of which history it is. A revision
// that was returned of a lost history, and returned again of the current one, counts as one of the current history.
type Histories[M comparable] struct {
	mu    sync.Mutex
	known Known[M]
	// The highest revision that was returned of the current history, or of an earlier one; and that of the earlier ones alone.
	highest, lost kv.Revision

	// returned has the histories of the revisions that were returned last, and older those of some before.
	returned, older map[kv.Revision]int
}

// remembered is how many of the revisions that were returned last have their history known, at least.
const remembered = 4096

// Known is what was known of a storage at some moment.
type Known[M comparable] struct {
	History int         // the current one
	Reached kv.Revision // the highest revision of it that was seen
	Newest  Point[M]    // the highest one whose mark was seen; zero if Marked is false
	Marked  bool
}

// Known returns what is known now. Call it before you ask the storage: what becomes known while the answer is on its way may be
// missing in the answer.
func (h *Histories[M]) Known() Known[M] {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known
}

// Current returns the number of the current history.
func (h *Histories[M]) Current() int { return h.Known().History }

// Found takes what the storage has answered to a request that was sent when before was known: its newest revision, and the mark that
// it has at before.Newest.Revision. Found returns the history that the answer is of. It is a new one if the storage has not reached
// the revision that it had, or has another mark at a revision.
//
// The mark is nil if it is not known. Then before.Newest stays the point to compare with, because the answer may be of another
// history that is longer. If the storage has forgotten that mark for ever, as after a compaction, call See with the newest point.
func (h *Histories[M]) Found(before Known[M], newest Point[M], mark *M) (history int) {
	replaced := newest.Revision < before.Reached || before.Marked &&
		(newest.Revision == before.Newest.Revision && newest.Mark != before.Newest.Mark || mark != nil && *mark != before.Newest.Mark)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case replaced && h.known.History == before.History:
		h.lost = max(h.lost, h.highest)
		h.known = Known[M]{before.History + 1, newest.Revision, newest, true}
	case !replaced:
		if before.History == h.known.History {
			h.known.Reached = max(h.known.Reached, newest.Revision)
		}
		if mark != nil || !before.Marked {
			h.see(before.History, newest)
		}
		return before.History
	}
	return before.History + 1 // another request has noticed the replacement, or several
}

// See notes a point that is known to be of a history, such as the last message of a stream that was read without a gap.
func (h *Histories[M]) See(history int, p Point[M]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.see(history, p)
}

// see is called with mu held.
func (h *Histories[M]) see(history int, p Point[M]) {
	if history != h.known.History {
		return
	}
	h.known.Reached = max(h.known.Reached, p.Revision)
	if !h.known.Marked || p.Revision > h.known.Newest.Revision {
		h.known.Newest, h.known.Marked = p, true
	}
}

// Return notes that a caller gets a revision of a history.
func (h *Histories[M]) Return(history int, rev kv.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.highest = max(h.highest, rev)
	if history == h.known.History {
		h.known.Reached = max(h.known.Reached, rev)
	} else {
		h.lost = max(h.lost, rev)
	}
	if len(h.returned) >= remembered {
		h.older, h.returned = h.returned, nil
	}
	if h.returned == nil {
		h.returned = make(map[kv.Revision]int)
	}
	h.returned[rev] = max(h.returned[rev], history)
}

// Of returns the history of a revision that a caller has. If the store does not remember it, that is an earlier history while the
// current one has not reached the revision and an earlier one had, and otherwise the current history.
func (h *Histories[M]) Of(rev kv.Revision) (history int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if history, ok := h.returned[rev]; ok {
		return history
	}
	if history, ok := h.older[rev]; ok {
		return history
	}
	if rev > h.known.Reached && rev <= h.lost {
		return h.known.History - 1
	}
	return h.known.History
}
