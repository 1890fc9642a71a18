package upstream

import (
	"context"
	"errors"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/contents"
)

const (
	// manyKeys is how many keys a range must have for a read to ask for its summary. Fewer keys are read as fast.
	manyKeys = 100
	// wholeReadEvery is how often the keys and revisions of such a range are read nevertheless, if the watch has brought something since.
	wholeReadEvery = 10 * time.Minute
)

// wholeRead is what the last read of a whole range has shown. A summary proves that nothing has changed since the watch brought what
// it has, but not that the watch has brought everything before that. So a summary replaces a whole read while the watch has brought
// nothing since the last one, and for a limited time after that.
type wholeRead struct {
	shown *contents.Contents
	at    time.Time // when the read began
}

func (w *wholeRead) took(shown *contents.Contents, at time.Time) { w.shown, w.at = shown, at }

// isDue reports whether a summary is not enough for a range that is expected to hold c.
func (w *wholeRead) isDue(c *contents.Contents) bool {
	return w.shown != c && time.Since(w.at) >= wholeReadEvery
}

// expected is what a read will find if nothing has changed, and how it may find out.
func (u *upstream) expected() Expected {
	e := u.feed.Expected()
	if c := e.Place.Contents; e.Known && c != nil && c.Len() > manyKeys {
		e.briefly = !u.whole.isDue(c)
	}
	return e
}

// readBriefly makes r a reading of what e expects, if a summary of the range proves that. It reports whether there is nothing more to
// read. changed reports that the summary proves the opposite.
func (u *upstream) readBriefly(ctx context.Context, e *Expected, r *reading) (done, changed bool) {
	s, ok := kv.As[kv.Summarizer](u.store)
	if !ok {
		return false, false
	}
	newest := e.Place.Contents.Newest()
	summary, err := s.Summarize(ctx, u.subject.Range, newest[0].ModRevision, len(newest)+1)
	switch {
	case errors.Is(err, kv.ErrUnsupported), errors.Is(err, kv.ErrTooLarge):
		return false, false
	case err != nil:
		r.err = err
		return true, false
	case !e.Place.isOf(&summary):
		return false, true
	}
	r.snapshot, r.unread, r.briefly = kv.Snapshot{Revision: summary.Revision}, &e.Place, true
	return true, false
}

// While the watch brings what a summary has shown to be changed, there is no need to read all keys.
const (
	mostSummaries = 4                      // before a whole read: other keys may change all the time
	leastCatchUp  = 100 * time.Millisecond // that the watch is waited for, or as long as the summary took
)

// expectedNow is what a read will find if nothing changes from now on.
func (s *session) expectedNow() Expected {
	select {
	case <-s.moved:
	default:
	}
	return s.expected()
}

// readCatchingUp is a read while the watch runs. A program that has put a key asks for it when the watch is about to bring the put. Then what is
// expected is out of date, though only one of many keys has changed. If the watch does not bring it, or other keys change all the time, all
// is read, and nothing is expected.
func (s *session) readCatchingUp(ctx context.Context, e Expected) reading {
	for range mostSummaries {
		e.onlyBriefly = true
		r := s.upstream.read(ctx, e)
		if !r.changed {
			return r
		}
		if !s.watchMoves(time.Since(r.began)) || !s.do(func() error { e = s.expectedNow(); return nil }) {
			break
		}
	}
	return s.upstream.read(ctx, Expected{})
}

// watchMoves waits until the watch has brought something since expectedNow, and reports that. It does not wait long for it after a
// summary that took so long.
func (s *session) watchMoves(took time.Duration) bool {
	limit := max(leastCatchUp, took)
	if stale := s.settings.MaxStaleness / 8; stale > 0 {
		limit = min(limit, stale)
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.moved:
		return true
	case <-timer.C:
	case <-s.ctx.Done():
	}
	return false
}

// isOf reports whether a range that held p.Contents at p.Revision still holds them at the revision of a summary since the newest of them.
//
// Suppose that the summary has as many keys, and that the entries since are exactly the newest of p.Contents. Then no key has a
// ModRevision after p.Revision. Each put gives its key a new ModRevision, which the key loses by the next put or by a deletion,
// and never gets again. So every key that there is was not put or deleted after p.Revision, and is one of p.Contents as it was. As there are
// as many, none is missing.
//
// So each change is found: a put by its ModRevision, also that of a key that was deleted and made again, and a deletion by the number of
// keys, unless a key was made in its place, which is a put. A key that was made and deleted again leaves nothing to be found.
//
// That is for one history. If history was replaced, the number of keys and the newest entries can be the same by chance only.
func (p *Position) isOf(summary *kv.Summary) bool {
	newest := p.Contents.Newest()
	if summary.Revision < p.Revision || summary.Count != p.Contents.Len() || summary.More || len(summary.Since) != len(newest) {
		return false
	}
	for i := range newest {
		if !newest[i].IsOf(&summary.Since[i]) {
			return false
		}
	}
	return true
}
