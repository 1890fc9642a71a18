package stores

import (
	"context"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// summaryChecks are those of a store that is a kv.Summarizer.
var summaryChecks = []check{
	{"Summarizer", "fresh", "puts and deletes keys many times, and asks for summaries after each write", 0, func(e *env) {
		s := e.summarizer()
		for i := range 30 {
			key := e.Key(fmt.Sprint(i * 7 % 5))
			if i%5 == 4 {
				e.Delete(key)
			} else {
				e.Put(key, fmt.Sprint("value ", i))
			}
			last := e.Ledger.Last()
			for _, r := range []kv.Range{kv.Key(key), e.All()} {
				for _, limit := range []int{1, 2, 100} {
					e.expectSummary(s, r, last, last, limit)
					e.expectSummary(s, r, last-3, last, limit)
				}
				e.expectSummary(s, r, last+1, last, 1)
				e.expectSummary(s, r, 0, last, 100)
			}
		}
	}},
	{"Summarizer", "one-revision", "asks for summaries of many keys while the first and the last of them are put in turns", 0, func(e *env) {
		s := e.summarizer()
		e.fill(600)
		start := e.Ledger.Last() + 1
		for _, summary := range suite.ReadDuring(e.Env, 10, e.putEnds, func() kv.Summary { return e.summarize(s, e.All(), start, 10) }) {
			e.expectOf(e.All(), start, 10, summary)
		}
	}},
	{"Summarizer", "refused", "asks for summaries of ranges that are invalid, and with a context that is done", 0, func(e *env) {
		s := e.summarizer()
		e.expectRefusals("summarize", func(ctx context.Context, r kv.Range) error {
			_, err := s.Summarize(ctx, r, 1, 1)
			return err
		})
	}},
}

func (e *env) summarizer() kv.Summarizer { return ability[kv.Summarizer](e) }

func (e *env) summarize(s kv.Summarizer, r kv.Range, since kv.Revision, limit int) kv.Summary {
	ctx, cancel := e.Bounded()
	defer cancel()
	summary, err := s.Summarize(ctx, r, since, limit)
	e.Logf("summarize %s since %d -> %d keys, %d since, at revision %d, %v", e.ShortRange(r), since, summary.Count, len(summary.Since), summary.Revision, err)
	e.Must("summarize "+r.String(), err)
	return summary
}

// expectSummary asks for a summary while no other writes, and requires it to see a revision that was acknowledged.
func (e *env) expectSummary(s kv.Summarizer, r kv.Range, since, acknowledged kv.Revision, limit int) {
	got := e.summarize(s, r, since, limit)
	if got.Revision < acknowledged {
		e.Errorf("a summary of %s saw revision %d, though revision %d was acknowledged before it began", e.ShortRange(r), got.Revision, acknowledged)
	}
	e.expectOf(r, since, limit, got)
}

// expectOf requires a summary to be that of the ledger at its own revision.
func (e *env) expectOf(r kv.Range, since kv.Revision, limit int, got kv.Summary) {
	all := e.Ledger.EntriesAt(r, got.Revision)
	var want []kv.Entry
	for _, entry := range all {
		if entry.ModRevision >= since {
			entry.Value = nil
			want = append(want, entry)
		}
	}
	more := len(want) > limit
	want = want[:min(len(want), limit)]
	what := fmt.Sprintf("a summary of %s since %d, at most %d, at revision %d", e.ShortRange(r), since, limit, got.Revision)
	if got.Count != len(all) || got.More != more {
		e.Errorf("%s has %d keys, and more is %t; want %d keys and %t", what, got.Count, got.More, len(all), more)
	}
	e.expectWithoutValues(what, want, got.Since)
}
