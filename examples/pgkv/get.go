package pgkv

import (
	"context"

	"github.com/watchkv/watchkv/kv"
)

// Get implements [kv.Store]. It is one statement, on a connection of the pool.
func (s *Store) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.get(ctx, r, "e.value")
	return snapshot, failures.Op(ctx, "get "+r.String(), err)
}

// Stat implements [kv.Stater]. The values stay in the database.
func (s *Store) Stat(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.get(ctx, r, "NULL::bytea")
	return snapshot, failures.Op(ctx, "stat "+r.String(), err)
}

// get reads everything in one statement, which has one snapshot of the database (S2). A standby answers no rows (S1).
func (s *Store) get(ctx context.Context, r kv.Range, value string) (kv.Snapshot, error) {
	if err := r.Validate(); err != nil {
		return kv.Snapshot{}, err
	}
	if err := s.usable(ctx); err != nil {
		return kv.Snapshot{}, err
	}
	before := s.histories.Known()
	within, args := condition(r, "e.key", []any{knownBefore(before)})
	rows, err := s.pool.Query(ctx, s.config.sql(`
		SELECT `+columns+`, e.key, `+value+`, coalesce(e.create_revision, 0), coalesce(e.mod_revision, 0), coalesce(e.version, 0)
		FROM {schema}.state s LEFT JOIN {schema}.entries e ON `+within+`
		WHERE NOT pg_is_in_recovery() ORDER BY e.key`), args...)
	if err != nil {
		return kv.Snapshot{}, err
	}
	defer rows.Close()
	var st state
	var snapshot kv.Snapshot
	answered := false
	for rows.Next() {
		answered = true
		var e kv.Entry
		var key []byte
		if err := rows.Scan(append(st.fields(), &key, &e.Value, &e.CreateRevision, &e.ModRevision, &e.Version)...); err != nil {
			return kv.Snapshot{}, err
		}
		if key != nil {
			e.Key = string(key)
			snapshot.Entries = append(snapshot.Entries, e)
		}
	}
	if err := rows.Err(); err != nil {
		return kv.Snapshot{}, err
	}
	if !answered {
		return kv.Snapshot{}, errStandby
	}
	snapshot.Revision = st.revision
	s.histories.Return(s.found(before, st), st.revision)
	return snapshot, nil
}
