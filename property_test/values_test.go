// Package property_test has the properties that random programs are tested for.
package property_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/judge"
	"github.com/watchkv/watchkv/internal/leaktest"
)

// themes are the kinds of programs: the faults in them, in addition to writes and to watchers that open and close.
var themes = []struct {
	name    string
	actions []string
}{
	{"outages", []string{"cut", "cut", "freeze", "heal", "heal", "heal", "end", "end quietly", "silence", "fail", "delay"}},
	{"lost history", []string{"compact", "compact", "say compacted", "cut", "heal", "end", "freeze"}},
	{"restores", []string{"back up", "back up", "restore", "restore", "cut", "freeze", "heal", "compact", "end", "hold", "release"}},
	{"chosen moments", []string{"hold", "hold", "hold", "release", "release", "end", "cut", "heal", "delay", "compact"}},
	{"refusals", []string{"refuse", "refuse a watch", "fail", "end", "end quietly", "compact"}},
	{"bad streams", []string{"duplicate", "drop", "end", "silence", "delay"}},
	{"everything", []string{
		"cut", "freeze", "heal", "heal", "end", "end quietly", "silence", "fail", "refuse", "refuse a watch", "delay", "hold", "release",
		"compact", "say compacted", "duplicate", "drop", "back up", "restore",
	}},
}

// usual are the actions of every program.
var usual = []string{
	"put", "put", "put", "put", "put many", "put many", "put bad", "delete", "delete", "put other",
	"lose a request", "lose an acknowledgement", "open", "close", "quiet", "quiet", "pass", "pass",
}

// This tests V3 to V8, V12 and V13 under thousands of different sequences of faults. Each program is played with several schedules.
// To run for long:
//
//	go test ./property_test -run TestValuesUnderFaultsInABubble -v -timeout 2h -rapid.checks=15000
//
// A program that fails is made smaller and printed, with what the watcher returned and how to play it again. Another run may differ,
// because the test does not decide which of two goroutines runs first.
func TestValuesUnderFaultsInABubble(t *testing.T) {
	leaktest.Check(t)
	for _, theme := range themes {
		t.Run(theme.name, func(t *testing.T) {
			t.Parallel()
			playAll(t, judge.Programs(append(theme.actions, usual...)), judge.NewHarness, 4)
		})
	}
}

// playAll plays as many programs as -rapid.checks says, each with several schedules.
func playAll(t *testing.T, programs *rapid.Generator[judge.Program], harness makeHarness, schedules int) {
	c := course{harness: harness, schedules: schedules, failed: make(map[string]error), ways: make(map[uint64]bool)}
	rapid.Check(t, func(t *rapid.T) {
		if err := c.verdict(t, programs.Draw(t, "program")); err != nil {
			t.Log(err)
			t.Fatal("a guarantee was broken")
		}
	})
	t.Logf("%d programs were played %d times and gave %d different runs, with %d observable steps on average; %v",
		c.programs, c.played, len(c.ways), c.steps/max(c.played, 1), c.counts)
}

// course plays many programs.
type course struct {
	harness   makeHarness
	schedules int // the number of schedules of each program

	failed   map[string]error // by program; a failure counts even if the next run passes
	programs int
	played   int
	steps    int
	ways     map[uint64]bool // the different runs, by [judge.Trace.Sum]
	counts   judge.Counts
}

// chances is how many schedules a program is played with while rapid makes a failed program smaller. With some schedules it may not fail.
const chances = 40

// verdict plays p and returns the broken guarantee.
func (c *course) verdict(t *rapid.T, p judge.Program) error {
	text := p.String()
	if err := c.failed[text]; err != nil {
		return err
	}
	times := c.schedules
	if len(c.failed) > 0 {
		times = chances
	}
	c.programs++
	for range times {
		r := playInBubble(t, p, c.harness)
		c.played++
		c.steps += r.steps
		c.ways[r.sum] = true
		c.counts.Add(r.counts)
		if r.err != nil {
			c.failed[text] = fmt.Errorf("played with seed %d: %w", p.Seed, r.err)
			return c.failed[text]
		}
		p.Seed++
	}
	return nil
}
