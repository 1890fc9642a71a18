package mutants

import (
	"context"
	"errors"
	"iter"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

// oneKey is a store that cannot commit.
type oneKey struct {
	kv.Store
	kv.Writer
}

func openOneKey(conformance.T) conformance.Store {
	m := memory.New()
	return oneKey{m, m}
}

func TestAMinimalBackendIsCheckedOnlyForWhatItClaims(t *testing.T) {
	if err := conformance.Check(t.Context(), conformance.Backend{Open: openOneKey}); err != nil {
		t.Error(err)
	}
}

func TestAClaimedAbilityThatIsMissingIsAFailure(t *testing.T) {
	err := conformance.Check(t.Context(), conformance.Backend{Open: openOneKey, Commit: true}, "W5/live")
	if err == nil || !strings.Contains(err.Error(), "Backend.Commit is claimed") {
		t.Errorf("a store without commits, of which commits are claimed: %v", err)
	}
}

func TestAnAbilityThatIsNotClaimedIsAFailure(t *testing.T) {
	open := func(conformance.T) conformance.Store { return memory.New() }
	err := conformance.Check(t.Context(), conformance.Backend{Open: open}, "Errors/unsupported")
	if err == nil || !strings.Contains(err.Error(), "should be true") {
		t.Errorf("a store with commits, of which none are claimed: %v", err)
	}
}

func TestABackendIsValidated(t *testing.T) {
	for want, b := range map[string]conformance.Backend{
		"Open is required": {},
		`"W99"`:            {Open: openOneKey, NotClaimed: map[string]string{"W99": "no reason"}},
		"no reason for":    {Open: openOneKey, NotClaimed: map[string]string{"W7": ""}},
		"returned no store": {Open: func(conformance.T) conformance.Store {
			return nil
		}},
		"cannot open": {Open: func(t conformance.T) conformance.Store {
			t.Fatalf("cannot open")
			return nil
		}},
	} {
		if err := conformance.Check(t.Context(), b, "S4/never-there"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
	if err := conformance.Check(t.Context(), conformance.Backend{Open: openOneKey}, "W5/no-such-check"); err == nil {
		t.Errorf("a check that does not exist was run")
	}
}

func TestABackendThatCannotBeOpenedIsReportedOnce(t *testing.T) {
	opened := 0
	err := conformance.Check(t.Context(), conformance.Backend{Open: func(t conformance.T) conformance.Store {
		opened++
		t.Fatalf("no database here")
		return nil
	}})
	if err == nil || strings.Count(err.Error(), "no database here") != 1 || opened != 1 {
		t.Errorf("Open was called %d times, and the error is %v", opened, err)
	}
}

func TestChecksThatAreNotClaimedAreNotRun(t *testing.T) {
	broken := mutants[0]
	b := backendOf(broken.broken)
	b.NotClaimed = map[string]string{broken.guarantee: "it is known to be broken"}
	if err := conformance.Check(t.Context(), b, broken.guarantee); err != nil {
		t.Error(err)
	}
}

// A store that is restarted to be restored loses its streams first.
func TestANewWatchMayReportTheReplacedHistoryThatALostWatchDidNot(t *testing.T) {
	sound := func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			if _, ok := m.known.LoadAndDelete(after); ok {
				yield(kv.Batch{}, kv.ErrReset)
				return
			}
			for b, err := range m.Store.Watch(ctx, r, after) {
				if errors.Is(err, kv.ErrReset) {
					m.known.Store(after, true)
					err = kv.ErrUnavailable
				} else {
					after = b.Revision
				}
				if !yield(b, err) {
					return
				}
			}
		}
	}
	if err := conformance.Check(t.Context(), withPatience(backendOf(breakage{watch: sound})), "W13"); err != nil {
		t.Error(err)
	}
}

func TestTheSummaryDistinguishesNotOfferedFromNotClaimed(t *testing.T) {
	summary := summary(t.Context(), conformance.Backend{Open: openOneKey, NotClaimed: map[string]string{"S6/keys": "not these keys"}})
	for _, want := range []string{
		`W5 +held  +atomic.*\n +nothing to check: W5/live \(the store has no commits\)`,
		`W2 +held  +ordered`,
		`S6 +held in part .*\n +not claimed: S6/keys \(the backend says: not these keys\)`,
		`Stater +not offered .*(\n +.*)*\n +nothing to check: Stater/fresh \(the store is not a kv.Stater\)`,
		`Acknowledger +not offered .*(\n +.*)*\n +nothing to check: Acknowledger/waiting \(the store is not a kv.Acknowledger\)`,
		`W7 +held in part .*(\n +.*)*\n +nothing to check: W7/on-request \(the store is not a kv.ProgressRequester\)`,
		`W13 +not claimed .*\n +not claimed: W13/restored \(needs Backend.Backup\)`,
		`of \d+ guarantees \d+ held, \d+ held in part, 0 broken, \d+ not claimed`,
	} {
		if !regexp.MustCompile(want).MatchString(summary) {
			t.Errorf("the summary has nothing that matches %q:\n%s", want, summary)
		}
	}
}

func TestAFailureReportsThePromiseTheStepsAndTheObservation(t *testing.T) {
	b := backendOf(mutants[0].broken)
	err := conformance.Check(t.Context(), b, "S1")
	broken, ok := errors.AsType[*conformance.Broken](err)
	if !ok {
		t.Fatalf("the error is %v, want a *Broken", err)
	}
	if broken.Guarantee != "S1" || broken.Check != "S1/own-writes" {
		t.Errorf("it names %s, %s", broken.Guarantee, broken.Check)
	}
	for _, part := range []string{"promised: linearizable", "seen: ", `put "k" = "0" -> revision 2`, `again:    conformance.Check(ctx, backend, "S1/own-writes")`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("there is no %q in:\n%v", part, err)
		}
	}
}

func TestAStoreThatPanicsOrHangsDoesNotStopTheRun(t *testing.T) {
	t.Parallel() // it waits for a hanging store to be given up
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	panics := withPatience(backendOf(breakage{get: func(*mutant, context.Context, kv.Range) (kv.Snapshot, error) {
		panic("out of order")
	}}))
	hangs := backendOf(breakage{get: func(*mutant, context.Context, kv.Range) (kv.Snapshot, error) {
		<-released
		return kv.Snapshot{}, errors.New("too late")
	}})
	hangs.Patience = 100 * time.Millisecond
	for want, b := range map[string]conformance.Backend{"panic: out of order": panics, "does not heed its context": hangs} {
		err := conformance.Check(t.Context(), b, "S4/never-there", "S4/deleted")
		if err == nil || strings.Count(err.Error(), want) != 2 {
			t.Errorf("want both checks to fail with %q: %v", want, err)
		}
	}
}

func TestAStoreThatPanicsInAConcurrentCallDoesNotStopTheRun(t *testing.T) {
	b := withPatience(backendOf(breakage{put: func(*mutant, context.Context, string, []byte, []kv.Condition) (kv.Revision, error) {
		panic("out of order")
	}}))
	err := conformance.Check(t.Context(), b, "Writer/several-at-once", "S4/never-there")
	if err == nil || !strings.Contains(err.Error(), "panic: out of order") || !strings.Contains(err.Error(), "S4/never-there is broken") {
		t.Errorf("want that both checks fail with the panic: %v", err)
	}
}

// A sequence that is pulled runs in a goroutine that alternates with the one that iterates. Nothing is concurrent there.
func TestAStoreMayAcknowledgeFromASequenceThatItPulls(t *testing.T) {
	pulls := func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			next, stop := iter.Pull2(m.Store.WatchAcknowledged(ctx, r, after, acknowledged))
			defer stop()
			for {
				if b, err, ok := next(); !ok || !yield(b, err) {
					return
				}
			}
		}
	}
	if err := conformance.Check(t.Context(), withPatience(backendOf(breakage{acknowledge: pulls})), "Acknowledger"); err != nil {
		t.Error(err)
	}
}
