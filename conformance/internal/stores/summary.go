package stores

import (
	"context"
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// summaryChecks are the checks of a store that is a kv.Summarizer.
var summaryChecks = []check{
	{"Summarizer", "fresh", "puts and deletes keys many times, and requests summaries after each write", 0, func(e *env) {
		s := e.summarizer()
		for i := range 15 {
			key := e.Key(fmt.Sprint(i * 7 % 3))
			if i%5 == 4 {
				e.Delete(key)
			} else {
				e.Put(key, fmt.Sprint("value ", i))
			}
			last := e.Ledger.Last()
			for _, r := range []kv.Range{kv.Key(key), e.All()} {
				for _, limit := range []int{-1, 0, 1, 2, 100} {
					e.expectSummary(s, r, last, last, limit)
					e.expectSummary(s, r, last-3, last, limit)
				}
				e.expectSummary(s, r, last+1, last, 1)
				e.expectSummary(s, r, 0, last, 100)
			}
		}
	}},
	{"Summarizer", "writes-of-others", "another store over the same data puts and deletes a key, and each time the check's store summarizes it; then the check's store is cut off, if the backend can do that: a summary during the cut fails", suite.Again, func(e *env) {
		s := e.summarizer()
		e.whileOthersWrite("summary", func(r kv.Range, rev kv.Revision) { e.expectSummary(s, r, 1, rev, 10) }, func(ctx context.Context) error {
			_, err := s.Summarize(ctx, e.All(), 1, 10)
			return err
		})
	}},
	{"Summarizer", "only-the-range", "requests summaries of ranges of every kind that lie within the keys of the check, with keys at and next to their bounds", 0, func(e *env) {
		s := e.summarizer()
		e.putEdges()
		for _, r := range edgeRanges(e.Prefix) {
			if from, to, _ := r.Bounds(); from < e.Prefix || !strings.HasPrefix(to, e.Prefix) {
				continue // the keys of other checks would count
			}
			e.expectSummary(s, r, 1, e.Ledger.Last(), 100)
		}
	}},
	{"Summarizer", "owned-by-the-caller", "changes the entries that a summary has returned: another summary does not see the change", 0, func(e *env) {
		s := e.summarizer()
		last := e.Put(e.Key("k"), "v")
		clear(e.summarize(s, e.All(), 1, 10).Since)
		e.expectSummary(s, e.All(), 1, last, 10)
	}},
	{"Summarizer", "one-revision", "requests summaries of many keys while the first ones and the last ones are put in turns", 0, func(e *env) {
		s := e.summarizer()
		e.fill(600)
		start := e.Ledger.Last() + 1
		for _, summary := range suite.ReadDuring(e.Env, 10, e.putEnds, func() kv.Summary { return e.summarize(s, e.All(), start, 10) }) {
			e.expectOf(e.All(), start, 10, summary)
		}
	}},
	{"Summarizer", "many-keys", "requests summaries of two thousand keys, most of which were put since a revision", 0, func(e *env) {
		s := e.summarizer()
		start := e.Put(e.Key("first"), "v")
		e.fill(2200)
		last := e.Ledger.Last()
		for _, limit := range []int{2000, 20_000} {
			e.expectSummary(s, e.All(), start+1, last, limit)
		}
	}},
	{"Summarizer", "count-of-one-revision", "requests summaries of many keys while one of them is put and deleted in turns", 0, func(e *env) {
		s := e.summarizer()
		e.fill(100)
		writeNow, over := make(chan struct{}, 1), make(chan struct{})
		wait := e.Background(1, func(int) (err error) {
			defer close(over)
			for i := 0; i < 80 && err == nil; i++ {
				select {
				case <-writeNow:
				case <-e.Context().Done():
					return nil
				}
				if i%2 == 0 {
					_, err = e.TryPut(e.Store, e.Key("sometimes"), "v")
				} else {
					_, err = e.TryDelete(e.Store, e.Key("sometimes"))
				}
			}
			return err
		})
		var summaries []kv.Summary
		for writing := true; writing; { // one write during each summary
			select {
			case writeNow <- struct{}{}:
				summaries = append(summaries, e.summarize(s, e.All(), 0, 1))
			case <-over:
				writing = false
			}
		}
		wait()
		for _, summary := range summaries {
			e.expectOf(e.All(), 0, 1, summary)
		}
	}},
	{"Summarizer", "refused", "requests summaries of ranges that are invalid, and with a context that is done", 0, func(e *env) {
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

// expectSummary requests a summary while no one else writes. It requires the acknowledged revision or a later one, and what the ledger has at
// the revision of the summary.
func (e *env) expectSummary(s kv.Summarizer, r kv.Range, since, acknowledged kv.Revision, limit int) {
	got := e.summarize(s, r, since, limit)
	if got.Revision < acknowledged {
		e.Errorf("a summary of %s returned revision %d, but revision %d was acknowledged before it began", e.ShortRange(r), got.Revision, acknowledged)
	}
	e.expectOf(r, since, limit, got)
}

// expectOf requires that got is the summary of the ledger at the revision of got.
func (e *env) expectOf(r kv.Range, since kv.Revision, limit int, got kv.Summary) {
	limit = max(limit, 1)
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
		e.Errorf("%s has Count %d and More %t, but should have Count %d and More %t", what, got.Count, got.More, len(all), more)
	}
	if len(want) == 0 && got.Since != nil {
		e.Errorf("%s has no entries that were put since: its Since is empty, but should be nil", what)
	}
	e.expectWithoutValues(what, want, got.Since)
}
