package memory_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestStatIsGetWithoutTheValues(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	for i := range 1000 { // more entries than a read collects at once
		put(t, s, fmt.Sprintf("/%03d", i%700), "value")
	}
	remove(t, s, "/007")
	for _, r := range []kv.Range{kv.Key("/003"), kv.Key("/007"), kv.Prefix("/0"), kv.Interval("/5", "/6"), kv.Prefix("none"), kv.All()} {
		want := get(t, s, r)
		for i := range want.Entries {
			want.Entries[i].Value = nil
		}
		got, err := s.Stat(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, got, want)
	}
}

// A write after the acknowledgement is delivered. A refused watch is not acknowledged.
func TestAWatchIsAcknowledgedOnceItHasBegun(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	put(t, s, "/a", "1")
	put(t, s, "/a", "2")
	compact(t, s, 3)
	var steps []string
	watch := func(ctx context.Context, r kv.Range, after kv.Revision) {
		steps = nil
		acknowledged := func() { steps = append(steps, fmt.Sprint("acknowledged, running ", s.Watches())) }
		for batch, err := range s.WatchAcknowledged(ctx, r, after, acknowledged) {
			if steps = append(steps, fmt.Sprint("batch ", batch.Revision)); err != nil {
				steps[len(steps)-1] = "error"
			} else if len(steps) == 3 {
				break
			} else {
				put(t, s, "/a", "more")
			}
		}
	}
	watch(t.Context(), kv.Key("/a"), 2)
	diff(t, steps, []string{"acknowledged, running 1", "batch 3", "batch 4"})

	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, refused := range []struct {
		ctx   context.Context
		r     kv.Range
		after kv.Revision
	}{
		{t.Context(), kv.Key("/a"), 0}, {t.Context(), kv.Key(""), 3}, {t.Context(), kv.Key("/a"), -1}, {done, kv.Key("/a"), 3},
	} {
		watch(refused.ctx, refused.r, refused.after)
		diff(t, steps, []string{"error"})
	}
	s.Close()
	watch(t.Context(), kv.Key("/a"), 3)
	diff(t, steps, []string{"error"})
}

func TestASummaryAgreesWithAGet(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	for i := range 1000 {
		put(t, s, fmt.Sprintf("/%03d", i%700), "value")
	}
	remove(t, s, "/007")
	for _, r := range []kv.Range{kv.Key("/003"), kv.Key("/007"), kv.Prefix("/0"), kv.Interval("/5", "/6"), kv.Prefix("none"), kv.All()} {
		for _, since := range []kv.Revision{0, 990, 1002, 1003} {
			for _, limit := range []int{-1, 1, 5, 1000} {
				want, err := kv.Summarize(t.Context(), struct{ kv.Store }{s}, r, since, limit)
				if err != nil {
					t.Fatal(err)
				}
				got, err := s.Summarize(t.Context(), r, since, limit)
				if err != nil {
					t.Fatal(err)
				}
				diff(t, got, want)
			}
		}
	}
}
