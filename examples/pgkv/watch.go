package pgkv

import (
	"context"
	"iter"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

// Watch implements [kv.Store]. It costs one statement, and one more for each page of history that is older than what the Store keeps in
// memory. After that it costs the database nothing: all watches of a Store share one connection that follows the changes.
//
// When that connection is lost, watches continue with a new one. After Config.Outage they end with [kv.ErrUnavailable]. A watch
// that cannot begin ends with that error at once.
func (s *Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return s.WatchAcknowledged(ctx, r, after, nil)
}

// WatchAcknowledged implements [kv.Acknowledger].
func (s *Store) WatchAcknowledged(ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		w := &watching{store: s, r: r, history: s.histories.Of(after), wake: make(chan struct{}, 1)}
		defer w.leave()
		watch := backend.Watch{Log: w, Errors: failures, Bookmarks: min(time.Second, s.config.Bookmarks), Begun: acknowledged}
		watch.Batches(ctx, r, after)(yield)
	}
}

// watching is a watch, as a [backend.Log].
type watching struct {
	store   *Store
	r       kv.Range
	history int           // the history of what it delivers
	wake    chan struct{} // has a token when there is something to read
	tail    *tail         // nil before the first Read
	asked   bool          // a bookmark was requested; guarded by tail.mu
}

// Read implements [backend.Log]. The first Read asks the database, so that a watch that has begun is known to be served.
func (w *watching) Read(ctx context.Context, after kv.Revision) (backend.Page, error) {
	if w.tail != nil {
		if page, ok, err := w.tail.read(w, after); ok || err != nil {
			return page, w.returned(page, err)
		}
	} else if err := w.join(ctx); err != nil {
		return backend.Page{}, err
	}
	page, st, history, err := w.store.page(ctx, w.store.pool, w.r, after)
	if err == nil {
		err = st.in(history, w.history, after)
	}
	return page, w.returned(page, err)
}

// returned records the revisions that the consumer may get.
func (w *watching) returned(page backend.Page, err error) error {
	if err == nil {
		for _, e := range page.Events {
			w.store.histories.Return(w.history, e.ModRevision)
		}
		w.store.histories.Return(w.history, page.UpTo)
	}
	return err
}

// Wait implements [backend.Log].
func (w *watching) Wait(ctx context.Context, _ kv.Revision) error {
	select {
	case <-w.wake:
		return nil
	case <-w.tail.failed:
		return w.tail.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rouse gives the watch a token.
func (w *watching) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// pageBytes is how large a page is, unless one revision is larger.
const pageBytes = 1 << 20

// page reads the changes after a revision, or the first part of them, in one statement. The statement also reads the
// state, with what was compacted by then (W8).
//
// WITH TIES ends no page inside a revision (W5). So does the sum of the bytes, which is that of whole revisions.
func (s *Store) page(ctx context.Context, q querier, r kv.Range, after kv.Revision) (page backend.Page, st state, history int, err error) {
	if err := s.usable(ctx); err != nil {
		return page, st, 0, err
	}
	before := s.histories.Known()
	within, args := condition(r, "key", []any{knownBefore(before), after, s.config.Page, pageBytes})
	rows, err := q.Query(ctx, s.config.sql(`
		WITH found AS (
			SELECT revision, key, value, create_revision, version, octet_length(key) + coalesce(octet_length(value), 0) AS bytes
			FROM {schema}.changes WHERE revision > $2 AND `+within+`
			ORDER BY revision FETCH FIRST ($3) ROWS WITH TIES
		), sums AS (
			SELECT revision, count(*) AS changes, sum(sum(bytes)) OVER (ORDER BY revision) AS bytes FROM found GROUP BY revision
		), page AS (
			SELECT coalesce(max(revision) FILTER (WHERE bytes <= $4), min(revision)) AS up_to,
				max(revision) AS last, coalesce(sum(changes), 0) >= $3 AS cut FROM sums
		)
		SELECT `+columns+`, page.up_to, coalesce(page.cut OR page.up_to < page.last, false),
			c.revision, c.key, c.value, c.create_revision, c.version
		FROM {schema}.state s CROSS JOIN page LEFT JOIN found c ON c.revision <= page.up_to
		WHERE NOT pg_is_in_recovery() ORDER BY c.revision, c.key`), args...)
	if err != nil {
		return page, st, 0, err
	}
	defer rows.Close()
	var upTo *kv.Revision
	answered := false
	for rows.Next() {
		answered = true
		var c change
		if err := rows.Scan(append(st.fields(), append([]any{&upTo, &page.More}, c.fields()...)...)...); err != nil {
			return page, st, 0, err
		}
		if c.revision != nil {
			page.Events = append(page.Events, c.event())
		}
	}
	if err := rows.Err(); err != nil {
		return page, st, 0, err
	}
	if !answered {
		return page, st, 0, errStandby
	}
	page.UpTo = st.revision
	if page.More {
		page.UpTo = *upTo
	}
	return page, st, s.found(before, st), nil
}

// now reads only the state.
func (s *Store) now(ctx context.Context, q querier) (st state, history int, err error) {
	_, st, history, err = s.page(ctx, q, kv.All(), math.MaxInt64)
	return st, history, err
}

// change is a row of the table changes. The columns are null if there is no change.
type change struct {
	revision, createRevision, version *int64
	key, value                        []byte
}

func (c *change) fields() []any {
	return []any{&c.revision, &c.key, &c.value, &c.createRevision, &c.version}
}

func (c *change) event() kv.Event {
	e := kv.Event{Entry: kv.Entry{Key: string(c.key), ModRevision: kv.Revision(*c.revision)}}
	if *c.version == 0 {
		e.Type = kv.EventDelete
		return e
	}
	e.Value, e.CreateRevision, e.Version = c.value, kv.Revision(*c.createRevision), *c.version
	return e
}

var _ querier = (*pgx.Conn)(nil)
