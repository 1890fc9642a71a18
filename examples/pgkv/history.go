package pgkv

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

// A database that was restored from a backup is the same to all appearances: its names and its identity are those of the backup. But
// each change has a random mark. So every statement brings the newest revision with its mark, and the mark at the newest revision that
// this Store knew before. A restored database has another mark there, or has not reached that revision. A copy that was promoted and
// has all changes has the same mark, and nothing happens.

// mark is the random number of a change.
type mark [16]byte

// state is what every statement brings, of the moment at which it reads.
type state struct {
	revision, compacted kv.Revision
	mark                pgtype.UUID
	known               pgtype.UUID // the mark at the revision that was known before; null if it is gone, or there was none
}

// columns are the columns of a state. The statement has the state as s, and the revision that was known as $1.
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

// found returns the history of an answer to a statement that was sent when before was known.
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
		s.wakeAll() // its watches end
	}
	return history
}

// in returns the error of a watch that is of a history and after a revision, if st, which is of history found, shows one.
func (st state) in(found, history int, after kv.Revision) error {
	switch {
	case found != history:
		return fmt.Errorf("%w: the database was restored", kv.ErrReset)
	case after < st.compacted:
		return &kv.CompactedError{Oldest: st.compacted + 1}
	}
	return nil
}
