package conformance

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

// Run tests b, each check as a subtest named after its guarantee: TestConformance/W5/catch-up. A check that the
// backend does not claim, or that has nothing to look at, is skipped and says why. The log ends with a summary of all guarantees; go test -v
// shows it.
func Run(t *testing.T, b Backend) {
	t.Helper()
	s, err := newSuite(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var outcomes []outcome
	for _, g := range inTurn() {
		t.Run(g.id, func(t *testing.T) {
			for _, c := range allChecks() {
				if c.guarantee != g.id {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					o := s.run(c, t.Name())
					outcomes = append(outcomes, o)
					switch {
					case o.moot != "":
						t.Skip("nothing to check: " + o.moot)
					case o.notClaimed != "":
						t.Skip("not claimed: " + o.notClaimed)
					case o.broken != nil:
						t.Errorf("%v\n  again:    %s", o.broken, command(t.Name()))
					}
				})
			}
		})
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	t.Log(summarize(outcomes))
}

// Check tests b without package testing, and returns every broken check as a [*Broken], joined, or nil. With
// only, it runs no more than the given guarantees ("W5") and checks ("W5/catch-up").
//
// Checks that b does not claim are not run, and do not make an error; see [Run] for a summary that names them.
func Check(ctx context.Context, b Backend, only ...string) error {
	s, err := newSuite(ctx, b)
	if err != nil {
		return err
	}
	return s.check(only)
}

func (s *suite) check(only []string) error {
	defer s.close()
	checks, err := choose(only)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range checks {
		if o := s.run(c, c.path()); o.broken != nil {
			o.broken.Again = fmt.Sprintf("conformance.Check(ctx, backend, %q)", c.path())
			errs = append(errs, o.broken)
		}
		if err := s.ctx.Err(); err != nil {
			errs = append(errs, fmt.Errorf("conformance: stopped at %s: %w", c.path(), err))
			break
		}
	}
	return errors.Join(append(errs, s.close())...)
}

// Broken is a guarantee that a check found not to be held.
type Broken struct {
	Guarantee string // "W5"
	Check     string // "W5/catch-up"
	Promised  string // the guarantee in words
	Does      string // what the check does
	Seen      string // what was seen, and the steps that led to it
	Again     string // how to run the check alone; empty in a test, which says so itself
}

func (e *Broken) Error() string {
	text := fmt.Sprintf("%s is broken\n  promised: %s\n  check:    %s%s", e.Check, e.Promised, e.Does, e.Seen)
	if e.Again != "" {
		text += "\n  again:    " + e.Again
	}
	return text
}

func choose(only []string) ([]check, error) {
	if len(only) == 0 {
		return allChecks(), nil
	}
	wanted := make(map[string]bool)
	for _, name := range only {
		wanted[name] = false
	}
	var chosen []check
	for _, c := range allChecks() {
		_, byGuarantee := wanted[c.guarantee]
		_, byPath := wanted[c.path()]
		if byGuarantee {
			wanted[c.guarantee] = true
		}
		if byPath {
			wanted[c.path()] = true
		}
		if byGuarantee || byPath {
			chosen = append(chosen, c)
		}
	}
	for name, found := range wanted {
		if !found {
			return nil, fmt.Errorf("conformance: %q is no guarantee and no check", name)
		}
	}
	return chosen, nil
}

// command returns what to paste into a shell to run one subtest again.
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
