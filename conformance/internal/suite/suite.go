package suite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Suite is one run of checks against one backend.
type Suite struct {
	ctx     context.Context
	backend Backend
	Checks  []Check // all checks, in order
	id      string  // is in the keys of this run, and in those of no other run
	opened  int     // how many stores were opened

	// long is the store with a long history that checks share. The first check that needs it makes it. Checks only read it.
	long     *longHistory
	recorder *recorder // the recorder of long
	release  func()    // ends the recorder of long
	closed   bool
}

// New returns a run of checks against b. The caller closes the run.
func New(ctx context.Context, b Backend, checks []Check) (*Suite, error) {
	if err := b.validate(checks); err != nil {
		return nil, err
	}
	inTurn := slices.Clone(checks)
	slices.SortStableFunc(inTurn, func(a, b Check) int { return turn(a.Guarantee) - turn(b.Guarantee) })
	return &Suite{ctx: ctx, backend: b, Checks: inTurn, id: rand.Text()[:8]}, nil
}

// Check runs all checks, or only those of the given guarantees and paths.
func (s *Suite) Check(only ...string) ([]Outcome, error) {
	checks, err := s.choose(only)
	if err != nil {
		return nil, err
	}
	var outcomes []Outcome
	for _, c := range checks {
		outcomes = append(outcomes, s.Run(c, c.Path()))
		if err := s.ctx.Err(); err != nil {
			return outcomes, fmt.Errorf("conformance: stopped at %s: %w", c.Path(), err)
		}
	}
	return outcomes, nil
}

func (s *Suite) choose(only []string) ([]Check, error) {
	if len(only) == 0 {
		return s.Checks, nil
	}
	wanted := make(map[string]bool)
	for _, name := range only {
		wanted[name] = false
	}
	var chosen []Check
	for _, c := range s.Checks {
		_, byGuarantee := wanted[c.Guarantee]
		_, byPath := wanted[c.Path()]
		if byGuarantee {
			wanted[c.Guarantee] = true
		}
		if byPath {
			wanted[c.Path()] = true
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

// Outcome is the outcome of a check.
type Outcome struct {
	Check      Check
	Moot       string // why there is nothing to check
	lacking    bool   // it is moot because the store lacks the ability that it checks
	NotClaimed string // why it was not run
	Broken     string // what was seen, and the steps before it; empty if the guarantee holds, or the check was not run
}

// running is a lock that every check of the process holds while it runs. A check that measures the process holds it alone.
var running sync.RWMutex

func (s *Suite) Run(c Check, name string) Outcome {
	if reason := s.backend.moot(c); reason != "" {
		return Outcome{Check: c, Moot: reason}
	}
	if reason := s.backend.notClaimed(c); reason != "" {
		return Outcome{Check: c, NotClaimed: reason}
	}
	if c.Alone {
		running.Lock()
		defer running.Unlock()
	} else {
		running.RLock()
		defer running.RUnlock()
	}
	r := record(s.ctx, name, s.backend.patience(), func(r *recorder) {
		c.Run(s.open(r, c.Path()))
	})
	if failed, moot := r.verdict(); !failed {
		return Outcome{Check: c, Moot: moot, lacking: moot != ""}
	}
	return Outcome{Check: c, Broken: r.report()}
}

// Probe opens a store and closes it again. Without it, if Open of a backend failed, every check would report the same failure.
func (s *Suite) Probe() error {
	r := record(s.ctx, "open", s.backend.patience(), func(r *recorder) { s.open(r, "open") })
	if !r.failed() {
		return nil
	}
	return errors.New("conformance: no store can be opened, so no check was run:" + r.report())
}

// open returns the env of a check, with a new store.
func (s *Suite) open(r *recorder, path string) *Env {
	s.opened++
	e := &Env{
		T:       r,
		Trace:   r,
		watches: new(atomic.Int32),
		suite:   s,
		Backend: s.backend,
		Ledger:  new(ledger),
		Prefix:  fmt.Sprintf("conformance-%s-%d/%s/", s.id, s.opened, path),
	}
	r.prefix = e.Prefix
	r.Logf("open a store")
	e.Store = s.backend.Open(r)
	if e.Store == nil {
		r.Fatalf("Backend.Open returned no store")
	}
	if _, ok := e.Store.(Committer); s.backend.Commit && !ok {
		r.Fatalf("Backend.Commit is claimed, but a %T is not a kv.Committer", e.Store)
	}
	return e
}

// Close closes the shared store. It may be called again.
func (s *Suite) Close() error {
	if s.closed || s.recorder == nil {
		return nil
	}
	s.closed = true
	reported := s.recorder.failed() // by the checks that wanted the shared store
	s.release()
	s.recorder.runCleanups()
	if s.recorder.failed() && !reported {
		return errors.New("conformance: after the checks:" + s.recorder.report())
	}
	return nil
}

// Summarize lists every guarantee with its outcome. A guarantee whose check was not run does not count as held, unless the store cannot
// break it. The list says so.
func (s *Suite) Summarize(outcomes []Outcome) string {
	var lines []string
	held, inPart, broken, notClaimed := 0, 0, 0, 0
	for _, g := range Guarantees {
		var failed, missing, moot, notes []string
		total, ran, lacking := 0, 0, false
		for _, c := range s.Checks {
			if c.Guarantee == g.ID {
				total++
			}
		}
		for _, o := range outcomes {
			switch {
			case o.Check.Guarantee != g.ID:
			case o.Moot != "":
				lacking = lacking || o.lacking
				moot = append(moot, fmt.Sprintf("\n                  nothing to check: %s (%s)", o.Check.Path(), o.Moot))
			case o.NotClaimed != "":
				missing = append(missing, fmt.Sprintf("\n                  not claimed: %s (%s)", o.Check.Path(), o.NotClaimed))
			case o.Broken != "":
				failed = append(failed, fmt.Sprintf("\n                  broken: %s", o.Check.Path()))
				ran++
			default:
				ran++
			}
		}
		verdict := "held"
		switch {
		case len(failed) > 0:
			verdict = "BROKEN"
			broken++
		case ran == 0 && lacking:
			verdict = "not offered"
		case ran == 0 && len(missing) > 0:
			verdict = "not claimed"
			notClaimed++
		case ran == 0:
			verdict = "not run"
		case ran+len(missing)+len(moot) < total:
			verdict = "held in part"
			inPart++
			notes = append(notes, fmt.Sprintf("; %d of %d checks were run", ran, total))
		case len(missing) > 0:
			verdict = "held in part"
			inPart++
		default:
			held++
		}
		lines = append(lines, fmt.Sprintf("  %-12s %-12s %s%s%s", g.ID, verdict, g.title(),
			strings.Join(notes, ""), strings.Join(slices.Concat(failed, missing, moot), "")))
	}
	return fmt.Sprintf("conformance: of %d guarantees %d held, %d held in part, %d broken, %d not claimed\n%s",
		len(Guarantees), held, inPart, broken, notClaimed, strings.Join(lines, "\n"))
}
