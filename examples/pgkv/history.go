package pgkv

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

// A database that was restored from a backup looks the same: it has the names and the identity of the backup. But
// each change has a random mark. So every statement returns the newest revision with its mark, and the mark at the newest revision that
// this Store knew before. A restored database has another mark there, or has not reached that revision. A promoted standby with
// all changes has the same mark, and nothing happens.

// mark is the random number of a change.
type mark [16]byte

// state is the part of the answer that all statements have: the state of the database when the statement reads.
type state struct {
	revision, compacted kv.Revision
	mark                pgtype.UUID
	known               pgtype.UUID // the mark at the revision that was known before; null if it is gone, or there was none
}

// columns are the columns of a state. In the statement, s is the state, and $1 is the revision that was known before.
const columns = `s.revision, s.mark, s.compacted, CASE $1::bigint
	WHEN s.revision THEN s.mark WHEN s.compacted THEN s.compacted_mark
	ELSE (SELECT known.mark FROM {schema}.changes known WHERE known.revision = $1 LIMIT 1) END`

func (st *state) fields() []any { return []any{&st.revision, &st.mark, &st.compacted, &st.known} }

// knownBefore is the argument $1.
func knownBefore(k backend.Known[mark]) int64 {
	if !k.Marked {
		return -1
	}
	return int64(k.Newest.Revision)
}

// found returns the history to which an answer belongs. before is what was known when the statement was sent.
func (s *Store) found(before backend.Known[mark], st state) (history int) {
	newest := backend.Point[mark]{Revision: st.revision, Mark: st.mark.Bytes}
	var at *mark
	switch {
	case st.known.Valid:
		at = (*mark)(&st.known.Bytes)
	case before.Newest.Revision > st.compacted:
		at = new(mark) // every revision after the compaction has a mark, so this is another history
	}
	history = s.histories.Found(before, newest, at)
	if at == nil {
		s.histories.See(history, newest)
	}
	if history != before.History {
		s.wakeAll() // its watches end then
	}
	return history
}

// in returns the error that st shows for a watch of a history after a revision, or nil. found is the history of st.
func (st state) in(found, history int, after kv.Revision) error {
	switch {
	case found != history:
		return fmt.Errorf("%w: the database was restored", kv.ErrReset)
	case after < st.compacted:
		return &kv.CompactedError{Oldest: st.compacted + 1}
	}
	return nil
}
