package mutants

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/conformance/internal/values"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
)

// checksThatNeed returns the paths of the checks that need an ability of a Backend.
func checksThatNeed(ability suite.Ability) (paths []string) {
	for _, c := range allChecks(nil, values.Maps{}) {
		if c.Needs&ability != 0 {
			paths = append(paths, c.Path())
		}
	}
	return paths
}

func TestEndStreamsMayFailPendingCallsOfItsStore(t *testing.T) {
	b := withPatience(backendOf(breakage{}))
	b.EndStreams = func(_ context.Context, s conformance.Store) error {
		refuse := s.(*mutant).Fail(-1, kv.ErrUnavailable)
		s.(*mutant).EndStreams(kv.ErrUnavailable)
		refuse.Remove()
		return nil
	}
	if err := conformance.Check(t.Context(), b, checksThatNeed(suite.EndStreams)...); err != nil {
		t.Error(err)
	}
}

func TestEndStreamsMustNotFailTheCallsOfOtherStores(t *testing.T) {
	var others []*mutant
	b := backendOf(breakage{})
	again := b.Again
	b.Again = func(t conformance.T, s conformance.Store) conformance.Store {
		other := again(t, s)
		others = append(others, other.(*mutant))
		return other
	}
	b.EndStreams = func(_ context.Context, s conformance.Store) error {
		for _, other := range others {
			other.Fail(1, kv.ErrUnavailable)
		}
		s.(*mutant).EndStreams(kv.ErrUnavailable)
		return nil
	}
	for _, path := range []string{"W6/lost-stream", "W6/lost-stream-again"} {
		err := conformance.Check(t.Context(), b, path)
		if err == nil || !strings.Contains(err.Error(), "Backend.EndStreams should leave alone") {
			t.Errorf("%s, when EndStreams hurts others: %v", path, err)
		}
	}
}

func TestEndStreamsMustWaitUntilItsStoreIsUsable(t *testing.T) {
	b := backendOf(breakage{})
	b.EndStreams = func(_ context.Context, s conformance.Store) error {
		s.(*mutant).EndStreams(kv.ErrUnavailable)
		s.(*mutant).Fail(1, kv.ErrUnavailable, fault.Writes)
		return nil
	}
	err := conformance.Check(t.Context(), b, "Errors/lost-stream")
	if err == nil || !strings.Contains(err.Error(), "Backend.EndStreams should wait") {
		t.Errorf("the put after EndStreams fails, and the error is %v", err)
	}
}

func TestBackupAndRestoreMayEndWatches(t *testing.T) {
	b := withPatience(backendOf(breakage{}))
	backUp := b.Backup
	b.Backup = func(ctx context.Context, s conformance.Store) (func(context.Context) error, error) {
		restart := func() { s.(*mutant).EndStreams(kv.ErrUnavailable) }
		restart()
		restore, err := backUp(ctx, s)
		return func(ctx context.Context) error {
			restart()
			return restore(ctx)
		}, err
	}
	if err := conformance.Check(t.Context(), b, checksThatNeed(suite.Backup)...); err != nil {
		t.Error(err)
	}
}

// In a bubble an hour passes at once.
func TestPatienceDoesNotLimitBackupAndRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backendOf(breakage{})
		takesAnHour := func(ctx context.Context) error {
			select {
			case <-time.After(time.Hour):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		backUp := b.Backup
		b.Backup = func(ctx context.Context, s conformance.Store) (func(context.Context) error, error) {
			restore, err := backUp(ctx, s)
			return func(ctx context.Context) error { return errors.Join(takesAnHour(ctx), restore(ctx)) }, errors.Join(takesAnHour(ctx), err)
		}
		if err := conformance.Check(t.Context(), b, "W13/handed-out"); err != nil {
			t.Error(err)
		}
	})
}

// To write a long history takes a slow store much longer than one call may take.
func TestPatienceLimitsEachWriteOfTheLongHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backendOf(breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			time.Sleep(patience / 2)
			return m.Store.Put(ctx, key, value, conditions...)
		}})
		begin := time.Now()
		if err := conformance.Check(t.Context(), b, "W6/catch-up"); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took < 5*patience {
			t.Errorf("the check took %v, which shows nothing", took)
		}
	})
}

// A history that could not be written is not tried again by every check that reads it.
func TestAFailedLongHistoryIsNotWrittenAgain(t *testing.T) {
	tries := 0
	b := backendOf(breakage{})
	open := b.Open
	b.Open = func(c conformance.T) conformance.Store {
		if c.Name() == "long history" {
			tries++
			c.Fatalf("no room for a long history")
		}
		return open(c)
	}
	err := conformance.Check(t.Context(), b, "W2/catch-up", "W3/catch-up", "W6/catch-up")
	if err == nil || strings.Count(err.Error(), "no room for a long history") != 3 || tries != 1 {
		t.Errorf("it was tried %d times, and three checks that read it report: %v", tries, err)
	}
}

func TestTheContextOfTIsDoneBeforeCleanupsRun(t *testing.T) {
	b := backendOf(breakage{})
	open := b.Open
	var opened, cleaned int
	b.Open = func(c conformance.T) conformance.Store {
		opened++
		if err := c.Context().Err(); err != nil {
			t.Errorf("in Open the context has ended: %v", err)
		}
		c.Cleanup(func() {
			cleaned++
			if err := c.Context().Err(); !errors.Is(err, context.Canceled) {
				t.Errorf("in a cleanup of Open the context has the error %v, want that it is cancelled", err)
			}
		})
		return open(c)
	}
	// The second takes the history that checks share, which is closed at the end.
	if err := conformance.Check(t.Context(), b, "S4/never-there", "W6/catch-up"); err != nil {
		t.Error(err)
	}
	if opened == 0 || cleaned != opened {
		t.Errorf("%d stores were opened, and %d cleaned up after", opened, cleaned)
	}
}

// A store that holds nothing at a server can say so, and holds V12 and W12 then.
func TestWaitIdleMayReturnNilAtOnce(t *testing.T) {
	b := withPatience(backendOf(breakage{}))
	b.WaitIdle = func(context.Context, conformance.Store) error { return nil }
	got := summary(t.Context(), b, "W12", "V12")
	for _, g := range []string{"W12", "V12"} {
		if !regexp.MustCompile(g + ` +held +[^i]`).MatchString(got) {
			t.Errorf("%s is not held:\n%s", g, got)
		}
	}
}
