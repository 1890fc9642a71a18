package memory

import (
	"context"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// Summarize implements [kv.Summarizer].
func (s *Store) Summarize(ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
	var room [1]*mvcc.Record
	revision, records, err := s.read(ctx, r, room[:0])
	if err != nil {
		return kv.Summary{}, fail("summarize "+r.String(), err)
	}
	summary := kv.Summary{Revision: revision, Count: len(records)}
	for _, rec := range records {
		switch {
		case kv.Revision(rec.Modify) < since:
		case len(summary.Since) < max(limit, 1):
			summary.Since = append(summary.Since, stat(rec))
		default:
			summary.More = true
		}
	}
	return summary, nil
}
