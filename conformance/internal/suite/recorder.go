package suite

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"time"
)

// recorder is the T of one check. It keeps the steps and the failures of the check. It does not use package testing, so the suite runs
// anywhere.
type recorder struct {
	name   string
	ctx    context.Context
	prefix string // of the check's keys; it is not shown; set before the first step

	mu       sync.Mutex
	over     bool
	steps    []step // the last steps
	earlier  int    // how many steps there were before these
	marked   []step // the marked steps among the earlier ones
	moved    time.Time
	patient  bool // the present step may take any time
	failures []string
	mooted   string // why there is nothing to check
	cleanups []func()
}

var _ T = (*recorder)(nil)

const (
	stepsShown    = 25 // how many steps a failure shows
	failuresShown = 3  // the first failures show most
)

// step is one step of a check.
type step struct {
	text   string
	marked bool // it is always shown
}

func (r *recorder) Helper()                  {}
func (r *recorder) Name() string             { return r.name }
func (r *recorder) Context() context.Context { return r.ctx }

// Logf adds a step, until something has failed.
func (r *recorder) Logf(format string, args ...any) { r.did(step{text: fmt.Sprintf(format, args...)}) }

// unhurried lets the present step take any time. The function that it returns ends that.
func (r *recorder) unhurried() (hurry func()) {
	set := func(patient bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.patient, r.moved = patient, time.Now()
	}
	set(true)
	return func() { set(false) }
}

// Mark is Logf for a step that does something to the store, such as a cut or a compaction. Everything after it may be its consequence.
func (r *recorder) Mark(format string, args ...any) {
	r.did(step{text: fmt.Sprintf(format, args...), marked: true})
}

func (r *recorder) did(s step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved = time.Now()
	if len(r.failures) > 0 {
		return // only the steps before the first failure help
	}
	if len(r.steps) == 2*stepsShown {
		r.forget(stepsShown)
	}
	r.steps = append(r.steps, s)
}

// forget drops the first n steps, except the marked ones. The caller holds mu.
func (r *recorder) forget(n int) {
	for _, s := range r.steps[:n] {
		if s.marked {
			r.marked = append(r.marked, s)
		}
	}
	r.earlier += n
	r.steps = append(r.steps[:0], r.steps[n:]...)
}

func (r *recorder) Errorf(format string, args ...any) {
	failure := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.failures = append(r.failures, failure)
}

// Fatalf ends the goroutine that calls it, which should be the check's.
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// moot ends the goroutine that calls it, as Fatalf does, because there is nothing to check.
func (r *recorder) moot(reason string) {
	r.mu.Lock()
	r.mooted = reason
	r.mu.Unlock()
	runtime.Goexit()
}

// verdict returns whether the check has failed, and otherwise why there was nothing to check, or "".
func (r *recorder) verdict() (failed bool, moot string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) > 0, r.mooted
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

// runCleanups runs the functions that Cleanup was called with, the last one first.
func (r *recorder) runCleanups() {
	for {
		r.mu.Lock()
		last := len(r.cleanups) - 1
		if last < 0 {
			r.mu.Unlock()
			return
		}
		f := r.cleanups[last]
		r.cleanups = r.cleanups[:last]
		r.mu.Unlock()
		r.guarded(f)
	}
}

// guarded calls f in a new goroutine, so that Fatalf or a panic in f ends only f.
func (r *recorder) guarded(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.reportPanic()
		f()
	}()
	<-done
}

// reportPanic is deferred by a goroutine that calls a store.
func (r *recorder) reportPanic() {
	if p := recover(); p != nil {
		r.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

// record runs f with a recorder. A check hangs if a store ignores its context. record abandons a check that has made no step for twice
// patience.
func record(ctx context.Context, name string, patience time.Duration, f func(*recorder)) *recorder {
	ctx, cancel := context.WithCancel(ownGoroutines(ctx))
	defer cancel()
	r := &recorder{name: name, ctx: ctx, moved: time.Now()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		pprof.SetGoroutineLabels(ctx)
		r.guarded(func() { f(r) })
		cancel()
		r.runCleanups()
	}()
	limit := 2*patience + min(atOnce, patience)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-done:
			r.end()
			return r
		case <-timer.C:
		}
		idle := r.idle()
		if idle >= limit {
			r.Errorf("hangs since %v, in the last step below or after it: the store does not heed its context", idle.Round(time.Second))
			r.end()
			return r
		}
		timer.Reset(limit - idle)
	}
}

// idle returns the time since the last step.
func (r *recorder) idle() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.patient {
		return 0
	}
	return time.Since(r.moved)
}

func (r *recorder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
}

func (r *recorder) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) > 0
}

// report returns the failures, and the steps before them.
func (r *recorder) report() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var text strings.Builder
	for i, failure := range r.failures {
		if i == failuresShown {
			fmt.Fprintf(&text, "\n  seen:     (%d more like these)", len(r.failures)-i)
			break
		}
		text.WriteString("\n  seen:     " + indent(r.short(failure)))
	}
	if n := len(r.steps) - stepsShown; n > 0 {
		r.forget(n)
	}
	if len(r.steps) == 0 {
		return text.String()
	}
	fmt.Fprintf(&text, "\n  keys:     all begin with %q, which is left out here", r.prefix)
	text.WriteString("\n  done:")
	show := func(steps []step) {
		for _, s := range steps {
			text.WriteString("\n    " + strings.ReplaceAll(r.short(s.text), "\n", "\n      "))
		}
	}
	if len(r.marked) > 0 {
		text.WriteString("     (earlier, among others)")
		show(r.marked[max(0, len(r.marked)-stepsShown):])
	}
	if r.earlier > 0 {
		fmt.Fprintf(&text, "\n    (%d steps are left out before these)", r.earlier-len(r.marked))
	}
	show(r.steps)
	return text.String()
}

// short removes the prefix of the check's keys from text.
func (r *recorder) short(text string) string {
	if r.prefix == "" {
		return text
	}
	return strings.ReplaceAll(text, r.prefix, "")
}

func indent(text string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n            ")
}
