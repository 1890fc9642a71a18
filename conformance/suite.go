package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// suite is one run of checks against one backend.
type suite struct {
	ctx     context.Context
	backend Backend
	id      string // sets the keys of this run apart from those of others
	checks  int    // how many were run

	newValue newValue // other than [value.New] in tests of the suite

	// long is the store with a long history that checks share, made by the first that asks. They only read it.
	long     *longHistory
	recorder *recorder // long's
	release  func()    // lets long's recorder end
	closed   bool
}

func newSuite(ctx context.Context, b Backend) (*suite, error) {
	if err := b.validate(); err != nil {
		return nil, err
	}
	return &suite{ctx: ctx, backend: b, id: rand.Text()[:8], newValue: newSoundValue}, nil
}

// outcome is what became of a check.
type outcome struct {
	check      check
	moot       string  // why there is nothing to check
	lacking    bool    // it is moot because the store lacks what it is about
	notClaimed string  // why it was not run
	broken     *Broken // nil if held, or not run
}

func (s *suite) run(c check, name string) outcome {
	if reason := s.backend.moot(c); reason != "" {
		return outcome{check: c, moot: reason}
	}
	if reason := s.backend.notClaimed(c); reason != "" {
		return outcome{check: c, notClaimed: reason}
	}
	r := record(s.ctx, name, s.backend.patience(), func(r *recorder) {
		c.run(s.open(r, c.path()))
	})
	if failed, moot := r.verdict(); !failed {
		return outcome{check: c, moot: moot, lacking: moot != ""}
	}
	b := &Broken{Guarantee: c.guarantee, Check: c.path(), Does: c.does, Seen: r.report()}
	for _, g := range guarantees {
		if g.id == c.guarantee {
			b.Promised = g.words
		}
	}
	return outcome{check: c, broken: b}
}

// open returns the env of a check, with a store of its own.
func (s *suite) open(r *recorder, path string) *env {
	s.checks++
	e := &env{
		T:       r,
		trace:   r,
		watches: new(atomic.Int32),
		suite:   s,
		backend: s.backend,
		ledger:  new(ledger),
		prefix:  fmt.Sprintf("conformance-%s-%d/%s/", s.id, s.checks, path),
	}
	r.prefix = e.prefix
	r.Logf("open a store")
	e.store = s.backend.Open(r)
	if e.store == nil {
		r.Fatalf("Backend.Open returned no store")
	}
	if _, ok := e.store.(committer); s.backend.Commit && !ok {
		r.Fatalf("Backend.Commit is claimed, but a %T is no kv.Committer", e.store)
	}
	return e
}

// close ends what checks shared. It may be called again.
func (s *suite) close() error {
	if s.closed || s.recorder == nil {
		return nil
	}
	s.closed = true
	s.release()
	s.recorder.runCleanups()
	if s.recorder.failed() {
		return errors.New("conformance: after the checks:" + s.recorder.report())
	}
	return nil
}

// summarize lists every guarantee with what became of it. Nothing that was not run counts as held, unless there
// is nothing that the store could do wrong; that is listed too.
func summarize(outcomes []outcome) string {
	var lines []string
	held, inPart, broken, notClaimed := 0, 0, 0, 0
	for _, g := range guarantees {
		var failed, missing, moot, notes []string
		total, ran, lacking := 0, 0, false
		for _, c := range allChecks() {
			if c.guarantee == g.id {
				total++
			}
		}
		for _, o := range outcomes {
			switch {
			case o.check.guarantee != g.id:
			case o.moot != "":
				lacking = lacking || o.lacking
				moot = append(moot, fmt.Sprintf("\n                  nothing to check: %s (%s)", o.check.path(), o.moot))
			case o.notClaimed != "":
				missing = append(missing, fmt.Sprintf("\n                  not claimed: %s (%s)", o.check.path(), o.notClaimed))
			case o.broken != nil:
				failed = append(failed, fmt.Sprintf("\n                  broken: %s", o.check.path()))
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
		lines = append(lines, fmt.Sprintf("  %-12s %-12s %s%s%s", g.id, verdict, g.words,
			strings.Join(notes, ""), strings.Join(slices.Concat(failed, missing, moot), "")))
	}
	return fmt.Sprintf("conformance: of %d guarantees %d held, %d held in part, %d broken, %d not claimed\n%s",
		len(guarantees), held, inPart, broken, notClaimed, strings.Join(lines, "\n"))
}
