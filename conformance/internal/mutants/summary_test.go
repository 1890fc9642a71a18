package mutants

import (
	"context"

	"github.com/watchkv/watchkv/kv"
)

type summarizing = func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error)

// summaryMutants break what a kv.Summarizer promises.
var summaryMutants = []mutation{
	{guarantee: "Summarizer", name: "counts-what-was-put-since", broken: breakage{summarize: summarized(func(_ *mutant, s *kv.Summary) {
		s.Count = len(s.Since)
	})}},
	{guarantee: "Summarizer", name: "never-says-that-there-is-more", broken: breakage{summarize: summarized(func(_ *mutant, s *kv.Summary) {
		s.More = false
	})}},
	{guarantee: "Summarizer", name: "counts-from-a-cache", broken: breakage{summarize: summarized(func(m *mutant, s *kv.Summary) {
		if before, loaded := m.known.Swap("count", s.Count); loaded {
			s.Count = before.(int)
		}
	})}},
	{guarantee: "Summarizer", name: "leaves-out-what-was-put-at-the-revision-itself", broken: breakage{summarize: func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
		return m.Store.Summarize(ctx, r, since+1, limit)
	}}},
	{guarantee: "Summarizer", name: "takes-a-revision-for-another", broken: breakage{summarize: summarized(func(_ *mutant, s *kv.Summary) {
		s.Revision--
	})}},
	{guarantee: "Summarizer", name: "looks-at-an-older-revision-than-it-counts-at", broken: breakage{summarize: summarized(func(m *mutant, s *kv.Summary) {
		if before, loaded := m.known.Swap("since", s.Since); loaded {
			s.Since = before.([]kv.Entry)
		}
	})}},
	{guarantee: "Summarizer", name: "summarizes-an-invalid-range", broken: breakage{summarize: func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
		if r.Validate() != nil {
			return kv.Summary{Revision: m.now()}, nil
		}
		return m.Store.Summarize(ctx, r, since, limit)
	}}},
}

func summarized(f func(m *mutant, s *kv.Summary)) summarizing {
	return func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
		s, err := m.Store.Summarize(ctx, r, since, limit)
		if err == nil {
			f(m, &s)
		}
		return s, err
	}
}
