package pgkv

import (
	"context"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Compact forgets the changes before rev. It does not change what keys hold. rev must not be above the newest revision: otherwise the error is
// [kv.ErrInvalidRange].
func (s *Store) Compact(ctx context.Context, rev kv.Revision) error {
	return failures.Op(ctx, fmt.Sprintf("compact before %d", rev), s.compact(ctx, rev))
}

func (s *Store) compact(ctx context.Context, rev kv.Revision) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	var newest kv.Revision
	if err := s.pool.QueryRow(ctx, s.config.sql("CALL {schema}.compact($1::bigint, NULL)"), rev).Scan(&newest); err != nil {
		return err
	}
	if rev > newest {
		return fmt.Errorf("%w: the newest revision is %d", kv.ErrInvalidRange, newest)
	}
	return nil
}

// Keep is how much history [Store.Trim] keeps. A zero field means no limit.
type Keep struct {
	Revisions int64         // the number of the newest revisions to keep
	Age       time.Duration // keep the revisions that are not older, by the clock of the server
}

// Trim forgets the changes that are outside one of the limits. Call it from time to time, from one program or from all
// programs. A watch that resumes after a forgotten revision ends with a [*kv.CompactedError]. So the history should cover the longest
// outage of a reader.
func (s *Store) Trim(ctx context.Context, keep Keep) error {
	return failures.Op(ctx, "trim", s.trim(ctx, keep))
}

func (s *Store) trim(ctx context.Context, keep Keep) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	// The search begins at the oldest revisions. These will be forgotten, so the search is not longer than the deletion.
	var byNumber, byAge kv.Revision
	err := s.pool.QueryRow(ctx, s.config.sql(`
		SELECT CASE WHEN $1::bigint > 0 THEN greatest(s.revision - $1 + 1, 0) ELSE 0 END,
			CASE WHEN $2::bigint > 0 THEN coalesce(
				(SELECT c.revision FROM {schema}.changes c WHERE c.at >= now() - $2 * interval '1 microsecond' ORDER BY c.revision LIMIT 1),
				s.revision) ELSE 0 END
		FROM {schema}.state s WHERE NOT pg_is_in_recovery()`), keep.Revisions, keep.Age.Microseconds()).Scan(&byNumber, &byAge)
	if err != nil {
		return standby(err)
	}
	return s.compact(ctx, max(byNumber, byAge))
}

// RequestProgress implements [kv.ProgressRequester], for the watches of this Store.
func (s *Store) RequestProgress(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return failures.Op(ctx, "request progress", err)
	}
	s.mu.Lock()
	t := s.tail
	s.mu.Unlock()
	if t != nil {
		t.ask()
	}
	return nil
}
