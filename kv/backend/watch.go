package backend

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Log is the history of a storage, as one watch reads it. A watch calls its methods from one goroutine, one at a time. If one Log
// serves several watches, its methods may be called concurrently.
type Log interface {
	// Read returns what has changed after a revision, or the first part of it. It does not wait for changes.
	//
	// It looks for compaction and for replaced history in the same step in which it reads, and returns a [*kv.CompactedError] or
	// [kv.ErrReset]. A look before the reading is not enough: history that is forgotten between the two is a silent gap.
	Read(ctx context.Context, after kv.Revision) (Page, error)

	// Wait returns when there may be changes after a revision that Read has not returned yet: those that were there before Wait was
	// called, too. It may return too early. When ctx ends, it returns at once. An error ends the watch.
	Wait(ctx context.Context, after kv.Revision) error
}

// Page is a part of a history. The watch owns its events and their bytes, and passes them on.
type Page struct {
	// UpTo is the revision up to which the page is complete: every change after the revision that was asked for, and up to UpTo, is in
	// Events. If the storage has not reached the revision that was asked for, UpTo is lower than that.
	UpTo kv.Revision
	// Events are in the order of their revisions. A page has all events of a revision or none, whatever limits its size. They may
	// contain keys that are not watched, which the watch drops.
	Events []kv.Event
	// More says that Read has more to return already. So a bookmark would soon be outdated.
	More bool
	// Bookmark asks for a bookmark at UpTo even if the consumer has it already.
	Bookmark bool
}

// Watch is the loop of a watch: it reads a part of the history, yields it, and waits when there is no more. The consumer gets the
// next part when it asks for it, so a slow consumer holds one page and nothing else (W11).
type Watch struct {
	// Log is where changes are read from.
	Log Log
	// Errors makes the error with which the watch ends.
	Errors Errors
	// Poll is how long the watch waits, at most, before it reads again. Zero is without limit: then Log.Wait must always return when
	// there is more.
	Poll time.Duration
	// Bookmarks is the shortest time between a batch and a bookmark that follows it. A bookmark that comes too early is kept until
	// then.
	Bookmarks time.Duration
	// Begun, if it is not nil, is called once, after the first successful Read and before the first batch. See [kv.Acknowledger].
	Begun func()
}

// Batches returns the sequence of [kv.Store.Watch]. It validates the range and the revision. Each iteration is a separate watch,
// over the same Log.
func (w Watch) Batches(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		l := loop{Watch: w, r: r, read: after, delivered: after, yield: yield}
		if err := l.run(ctx); err != nil {
			yield(kv.Batch{}, w.Errors.Watch(ctx, r, after, err))
		}
	}
}

// loop is one iteration.
type loop struct {
	Watch
	r         kv.Range
	read      kv.Revision // the history was read up to this revision
	delivered kv.Revision // the consumer knows the history up to this revision
	yielded   time.Time   // when the consumer got the last batch
	yield     func(kv.Batch, error) bool
}

// run returns nil when the consumer wants no more.
func (l *loop) run(ctx context.Context) error {
	if err := validate(l.r, l.read); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := l.Log.Read(ctx, l.read)
		if err == nil {
			err = l.check(page)
		}
		if err != nil {
			return err
		}
		if l.Begun != nil {
			l.Begun()
			l.Begun = nil
		}
		if wanted, err := l.pass(ctx, page); !wanted {
			return err
		}
		if !page.More {
			if err := l.wait(ctx); err != nil {
				return err
			}
		}
	}
}

func validate(r kv.Range, after kv.Revision) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if after < 0 {
		return fmt.Errorf("%w: a negative revision", kv.ErrInvalidRange)
	}
	return nil
}

// check finds a page that breaks what Page promises. Such a page ends the watch, because its consumer would get wrong events.
func (l *loop) check(p Page) error {
	if p.More && p.UpTo <= l.read {
		return fmt.Errorf("backend: a page after revision %d has more to come, and is complete up to %d only", l.read, p.UpTo)
	}
	last := l.read
	for i, e := range p.Events {
		if e.ModRevision < last || e.ModRevision > p.UpTo || i == 0 && e.ModRevision == last {
			return fmt.Errorf("backend: a page after revision %d and up to %d has a change of revision %d after one of %d",
				l.read, p.UpTo, e.ModRevision, last)
		}
		last = e.ModRevision
	}
	return nil
}

// pass yields what the page has for the consumer.
func (l *loop) pass(ctx context.Context, p Page) (wanted bool, err error) {
	if p.UpTo < l.read {
		return true, nil // the revision to watch after is in the future
	}
	l.read = p.UpTo
	var events []kv.Event
	for _, e := range p.Events {
		if l.r.Contains(e.Key) {
			events = append(events, e)
		}
	}
	if len(events) > 0 {
		batch := kv.Batch{Revision: events[len(events)-1].ModRevision, Events: events}
		if wanted, err := l.deliver(ctx, batch); !wanted {
			return false, err
		}
	}
	if !p.More && (p.Bookmark || l.delivered < l.read && l.untilBookmark() <= 0) {
		return l.deliver(ctx, kv.Batch{Revision: l.read})
	}
	return true, nil
}

// deliver yields a batch, unless the context is done.
func (l *loop) deliver(ctx context.Context, b kv.Batch) (wanted bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	wanted = l.yield(b, nil)
	l.delivered, l.yielded = b.Revision, time.Now()
	return wanted, nil
}

// untilBookmark returns how long a bookmark has to wait.
func (l *loop) untilBookmark() time.Duration {
	if l.Bookmarks <= 0 || l.yielded.IsZero() {
		return 0
	}
	return l.Bookmarks - time.Since(l.yielded)
}

// wait waits for more, for the time to poll, or for the time of a bookmark.
func (l *loop) wait(ctx context.Context) error {
	limit := l.Poll
	if l.delivered < l.read {
		if d := max(l.untilBookmark(), time.Nanosecond); limit == 0 || d < limit {
			limit = d
		}
	}
	if limit == 0 {
		return l.Log.Wait(ctx, l.read)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := l.Log.Wait(limited, l.read); limited.Err() == nil || ctx.Err() != nil {
		return err
	}
	return nil // it is time to read again
}
