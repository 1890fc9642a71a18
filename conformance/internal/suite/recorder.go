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

// recorder is the T of one check. It keeps what was done and what went wrong, and knows nothing of package
// testing, so that the suite runs anywhere.
type recorder struct {
	name   string
	ctx    context.Context
	prefix string // of the check's keys, left out of what is shown; set before anything is done

	mu       sync.Mutex
	over     bool
	steps    []step // the last of what was done
	earlier  int    // how many more steps there were
	marked   []step // those of them that are marked
	moved    time.Time
	patient  bool // what is done may take as long as it takes
	failures []string
	mooted   string // why there is nothing to check
	cleanups []func()
}

var _ T = (*recorder)(nil)

const (
	stepsShown    = 25 // how much of what was done a failure shows
	failuresShown = 3  // the first tell most
)

// step is one thing that was done.
type step struct {
	text   string
	marked bool // it is shown however long ago it was
}

func (r *recorder) Helper()                  {}
func (r *recorder) Name() string             { return r.name }
func (r *recorder) Context() context.Context { return r.ctx }

// Logf adds to what was done, until something has failed.
func (r *recorder) Logf(format string, args ...any) { r.did(step{text: fmt.Sprintf(format, args...)}) }

// unhurried lets what is done take as long as it takes, until the function is called that it returns.
func (r *recorder) unhurried() (hurry func()) {
	set := func(patient bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.patient, r.moved = patient, time.Now()
	}
	set(true)
	return func() { set(false) }
}

// Mark is Logf for what is done to the store rather than asked of it: everything after it may be due to it.
func (r *recorder) Mark(format string, args ...any) {
	r.did(step{text: fmt.Sprintf(format, args...), marked: true})
}

func (r *recorder) did(s step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved = time.Now()
	if len(r.failures) > 0 {
		return // what led to the first is what helps
	}
	if len(r.steps) == 2*stepsShown {
		r.forget(stepsShown)
	}
	r.steps = append(r.steps, s)
}

// forget drops the first n steps, but for those that are marked. It is called with mu held.
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

// runCleanups runs what Cleanup was given, the last first.
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

// guarded calls f in a goroutine of its own, so that neither Fatalf nor a panic in it ends more than f.
func (r *recorder) guarded(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		f()
	}()
	<-done
}

// record runs f with a recorder. A check that hangs, because a store ignores its context, is given up when
// nothing has been done for twice patience.
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

// idle is for how long nothing has been done.
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

// report returns what went wrong, and what was done before.
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

// short leaves the prefix of the check's keys out of text.
func (r *recorder) short(text string) string {
	if r.prefix == "" {
		return text
	}
	return strings.ReplaceAll(text, r.prefix, "")
}

func indent(text string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n            ")
}
