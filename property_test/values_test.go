// Package property_test holds the properties that random programs are tested for.
package property_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/property_test/internal/follow"
)

// themes are the kinds of programs: what happens in them beside writes and watchers that come and go.
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
	"lose a request", "lose an acknowledgment", "open", "close", "quiet", "quiet", "pass", "pass",
}

// V3 to V8, V12 and V13, in thousands of ways of things going wrong.
func TestValuesUnderFaultsInABubble(t *testing.T) {
	leaktest.Check(t)
	for _, theme := range themes {
		t.Run(theme.name, func(t *testing.T) {
			t.Parallel()
			programs := follow.Programs(append(theme.actions, usual...))
			var c course
			rapid.Check(t, func(t *rapid.T) {
				p := programs.Draw(t, "program")
				if err := c.verdict(t, p); err != nil {
					t.Log(err)
					t.Fatal("a guarantee was broken")
				}
			})
			c.report(t)
		})
	}
}

// course is many programs, each of which is played once: or, from when one has failed, until it fails.
type course struct {
	failed   map[string]error // by program: what failed once has failed
	programs int
	steps    int
	runs     map[uint64]bool
	counts   follow.Counts
}

// verdict plays p and returns what was broken. A program does not go the same way each time, not even in a
// bubble; so, when rapid makes a failed one smaller, each is given many chances to fail.
func (c *course) verdict(t *rapid.T, p follow.Program) error {
	const chances = 30
	text := p.String()
	if err := c.failed[text]; err != nil {
		return err
	}
	times := 1
	if len(c.failed) > 0 {
		times = chances
	}
	for range times {
		r := playInBubble(t, p)
		c.take(r)
		if r.err != nil {
			if c.failed == nil {
				c.failed = make(map[string]error)
			}
			c.failed[text] = r.err
			return r.err
		}
		p.Seed++
	}
	return nil
}

func (c *course) take(r run) {
	if c.runs == nil {
		c.runs = make(map[uint64]bool)
	}
	c.programs++
	c.steps += r.steps
	c.runs[r.sum] = true
	c.counts.Add(r.counts)
}

func (c *course) report(t *testing.T) {
	t.Logf("%d programs went %d different ways, of %d observable steps on average; %v",
		c.programs, len(c.runs), c.steps/max(c.programs, 1), c.counts)
}
