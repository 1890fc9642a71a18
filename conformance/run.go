package conformance

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/watchkv/watchkv/conformance/internal/stores"
	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/conformance/internal/values"
)

// Run tests b. Each check is a subtest named after its guarantee: TestConformance/W5/catch-up. A check that the backend does
// not claim, or that has nothing to check, is skipped with the reason. The log ends with a summary of all guarantees; go
// test -v shows it.
//
// A run against servers mostly waits for them. With others, the checks are divided between b and the others, and each of these runs one check
// at a time. The others must be like b, and share nothing with b or with each other.
func Run(t *testing.T, b Backend, others ...Backend) {
	t.Helper()
	var suites []*suite.Suite
	for _, b := range append([]Backend{b}, others...) {
		s, err := suite.New(t.Context(), suite.Backend(b), allChecks())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Probe(); err != nil {
			t.Fatal(err)
		}
		suites = append(suites, s)
	}
	idle := make(chan *suite.Suite, len(suites))
	for _, s := range suites {
		idle <- s
	}
	checks := suites[0].Checks
	outcomes := make([]suite.Outcome, len(checks))
	run := func(t *testing.T, s *suite.Suite, i int) {
		o := s.Run(checks[i], t.Name())
		outcomes[i] = o
		switch {
		case o.Moot != "":
			t.Skip("nothing to check: " + o.Moot)
		case o.NotClaimed != "":
			t.Skip("not claimed: " + o.NotClaimed)
		case o.Broken != "":
			t.Errorf("%v\n  again:    %s", brokenBy(o), command(t.Name()))
		}
	}
	var groups sync.WaitGroup
	for _, g := range suite.InTurn() {
		begun := make(chan struct{})
		begin := sync.OnceFunc(func() { close(begun) }) // lets the next group begin
		groups.Go(func() {
			defer begin() // the group may not be among those that -run selects
			t.Run(g.ID, func(t *testing.T) {
				var group sync.WaitGroup
				for i, c := range checks {
					if c.Guarantee != g.ID {
						continue
					}
					s := <-idle
					group.Go(func() {
						defer func() { idle <- s }()
						t.Run(c.Name, func(t *testing.T) { run(t, s, i) })
					})
				}
				begin()
				group.Wait()
			})
		})
		<-begun
	}
	groups.Wait()
	for _, s := range suites {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Log(suites[0].Summarize(outcomes))
}

// Check tests b without package testing. It returns every broken check as a [*Broken], joined, or nil. With only, it runs
// just the given guarantees ("W5") and checks ("W5/catch-up").
//
// Checks that b does not claim are not run, and are no errors. [Run] lists them in a summary.
func Check(ctx context.Context, b Backend, only ...string) error {
	s, err := suite.New(ctx, suite.Backend(b), allChecks())
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Probe(); err != nil {
		return err
	}
	outcomes, err := s.Check(only...)
	var errs []error
	for _, o := range outcomes {
		if o.Broken != "" {
			broken := brokenBy(o)
			broken.Again = fmt.Sprintf("conformance.Check(ctx, backend, %q)", broken.Check)
			errs = append(errs, broken)
		}
	}
	return errors.Join(append(errs, err, s.Close())...)
}

// allChecks returns every check, in the order in which they run.
func allChecks() []suite.Check {
	return append(stores.Checks(), values.Checks(values.Sound, values.Maps{})...)
}

// Broken is a guarantee that a check found broken.
type Broken struct {
	Guarantee string // "W5"
	Check     string // "W5/catch-up"
	Promised  string // the guarantee in words
	Does      string // what the check does
	Seen      string // what was seen, and the steps that led to it
	Again     string // how to run the check alone; empty in a test, which reports it itself
}

func (e *Broken) Error() string {
	text := fmt.Sprintf("%s is broken\n  promised: %s\n  check:    %s%s", e.Check, e.Promised, e.Does, e.Seen)
	if e.Again != "" {
		text += "\n  again:    " + e.Again
	}
	return text
}

func brokenBy(o suite.Outcome) *Broken {
	return &Broken{Guarantee: o.Check.Guarantee, Check: o.Check.Path(), Promised: o.Check.Promised(), Does: o.Check.Does, Seen: o.Broken}
}

// command returns the shell command that runs one subtest again.
func command(test string) string {
	parts := strings.Split(test, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	target := "."
	if info, ok := debug.ReadBuildInfo(); ok {
		if path, ok := strings.CutSuffix(info.Path, ".test"); ok {
			target = strings.TrimSuffix(path, "_test")
		}
	}
	return fmt.Sprintf("go test %s -count=1 -run '%s'", target, strings.Join(parts, "/"))
}
