package pgkv

import (
	"context"
	"slices"

	"github.com/watchkv/watchkv/kv"
)

// Get implements [kv.Store]. Like Stat and Summarize, it is one statement on a connection of the pool.
func (s *Store) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.get(ctx, r, "e.value")
	return snapshot, failures.Op(ctx, "get "+r.String(), err)
}

// Stat implements [kv.Stater]. The values stay in the database.
func (s *Store) Stat(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.get(ctx, r, "NULL::bytea")
	return snapshot, failures.Op(ctx, "stat "+r.String(), err)
}

// Summarize implements [kv.Summarizer]. The database reads each row of the range, and sends only the rows that were put after since.
func (s *Store) Summarize(ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
	var summary kv.Summary
	var put int // since
	var err error
	summary.Revision, summary.Since, err = s.read(ctx, r, []any{since, max(limit, 1)}, []any{&summary.Count, &put}, func(within string) string {
		return `
		SELECT ` + columns + `, n.keys, n.put, e.key, NULL::bytea, coalesce(e.create_revision, 0), coalesce(e.mod_revision, 0), coalesce(e.version, 0)
		FROM {schema}.state s
		CROSS JOIN (
			SELECT count(*) AS keys, count(*) FILTER (WHERE e.mod_revision >= $2) AS put FROM {schema}.entries e WHERE ` + within + `) n
		LEFT JOIN (
			SELECT e.key, e.create_revision, e.mod_revision, e.version FROM {schema}.entries e
			WHERE ` + within + ` AND e.mod_revision >= $2 ORDER BY e.key LIMIT $3) e ON true
		WHERE NOT pg_is_in_recovery() ORDER BY e.key`
	})
	if err != nil {
		return kv.Summary{}, failures.Op(ctx, "summarize "+r.String(), err)
	}
	summary.More = put > len(summary.Since)
	return summary, nil
}

// get reads the entries, with what value selects.
func (s *Store) get(ctx context.Context, r kv.Range, value string) (snapshot kv.Snapshot, err error) {
	snapshot.Revision, snapshot.Entries, err = s.read(ctx, r, nil, nil, func(within string) string {
		return `
		SELECT ` + columns + `, e.key, ` + value + `, coalesce(e.create_revision, 0), coalesce(e.mod_revision, 0), coalesce(e.version, 0)
		FROM {schema}.state s LEFT JOIN {schema}.entries e ON ` + within + `
		WHERE NOT pg_is_in_recovery() ORDER BY e.key`
	})
	return snapshot, err
}

// read reads everything in one statement, which has one snapshot of the database (S2). A standby answers no rows (S1). The statement has args
// from $2 on, and selects a state, what goes into fields, and an entry. It is made with the condition that e.key is within r.
func (s *Store) read(ctx context.Context, r kv.Range, args, fields []any, statement func(within string) string) (kv.Revision, []kv.Entry, error) {
	if err := r.Validate(); err != nil {
		return 0, nil, err
	}
	if err := s.usable(ctx); err != nil {
		return 0, nil, err
	}
	before := s.histories.Known()
	within, args := condition(r, "e.key", append([]any{knownBefore(before)}, args...))
	rows, err := s.pool.Query(ctx, s.config.sql(statement(within)), args...)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	var st state
	var entries []kv.Entry
	answered := false
	for rows.Next() {
		answered = true
		var e kv.Entry
		var key []byte
		entry := []any{&key, &e.Value, &e.CreateRevision, &e.ModRevision, &e.Version}
		if err := rows.Scan(slices.Concat(st.fields(), fields, entry)...); err != nil {
			return 0, nil, err
		}
		if key != nil {
			e.Key = string(key)
			entries = append(entries, e)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, nil, err
	}
	if !answered {
		return 0, nil, errStandby
	}
	s.histories.Return(s.found(before, st), st.revision)
	return st.revision, entries, nil
}
