package valuetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// scripted is a Reader that returns what it is given, in order, and then waits for the context.
type scripted struct {
	answers  []Got[string]
	revision kv.Revision
	stubborn bool // it ignores the context
}

func (s *scripted) Revision() kv.Revision   { return s.revision }
func (s *scripted) Close() error            { return nil }
func (s *scripted) next() (got Got[string]) { got, s.answers = s.answers[0], s.answers[1:]; return got }
func (s *scripted) Updates(context.Context, ...value.GetOption[string]) iter.Seq2[string, error] {
	return nil
}
func (s *scripted) TryGet(...value.GetOption[string]) (string, error) {
	if len(s.answers) == 0 {
		return "", value.ErrNothingNew
	}
	got := s.next()
	return got.Value, got.Err
}

func (s *scripted) Get(ctx context.Context, _ ...value.GetOption[string]) (string, error) {
	if len(s.answers) == 0 && s.stubborn {
		time.Sleep(time.Hour)
	}
	if len(s.answers) == 0 {
		<-ctx.Done()
		return "", ctx.Err()
	}
	got := s.next()
	s.revision = got.Revision
	return got.Value, got.Err
}

// scriptedValue is a Value with one watcher.
type scriptedValue struct{ of *scripted }

func (v scriptedValue) Watch(...value.WatchOption) Reader[string] { return v.of }
func (v scriptedValue) Get(context.Context) (string, error)       { return "", kv.ErrUnsupported }
func (v scriptedValue) Latest() (value.Reading[string], bool)     { return value.Reading[string]{}, false }
func (v scriptedValue) Status() value.Status                      { return value.Status{} }

// judged is a test whose first failure is recorded.
type judged struct {
	*testing.T
	failure string
}

func (j *judged) Fatalf(format string, args ...any) {
	if j.failure == "" {
		j.failure = fmt.Sprintf(format, args...)
	}
	runtime.Goexit()
}

// judge runs a test in a bubble, and returns how it has failed, or "".
func judge(t *testing.T, settle func(), v *scripted, test func(*Watcher[string])) string {
	j := &judged{T: t}
	config := Config{T: j, Key: "/a", Faults: fault.New(memory.New()), Patience: time.Minute, AtOnce: time.Second, Settle: settle}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(Follow[string](New(config), scriptedValue{v}, ""))
	}()
	<-done
	return j.failure
}

func TestEachCheckAcceptsOnlyCorrectResults(t *testing.T) {
	one, two := Got[string]{"one", nil, 2}, Got[string]{"two", nil, 3}
	deleted := Got[string]{"", value.ErrDeleted, 4}
	gap := func(key string, from, to kv.Revision, why error) Got[string] {
		return Got[string]{"", &value.GapError{Key: key, From: from, To: to, Err: why}, 5}
	}
	bad := func(key string, at, revision kv.Revision) Got[string] {
		return Got[string]{"", &value.DecodeError{Key: key, Revision: at, Err: errors.New("bad")}, revision}
	}
	script := func(answers ...Got[string]) []Got[string] { return answers }
	for _, c := range []struct {
		name  string
		check func(*Watcher[string])
		right []Got[string]
		wrong [][]Got[string]
	}{
		{"Gives", func(w *Watcher[string]) { w.Gives("one") }, script(one), [][]Got[string]{script(two), script(deleted), script()}},
		{"GivesEach", func(w *Watcher[string]) { w.GivesEach("one", "two") }, script(one, two), [][]Got[string]{
			script(one, one), script(one), script(Got[string]{"one", nil, 3}, two), script(Got[string]{"one", nil, 0}, two),
		}},
		{"Fails", func(w *Watcher[string]) { w.Fails(value.ErrDeleted) }, script(deleted), [][]Got[string]{script(one), script(gap("/a", 1, 2, kv.ErrCompacted)), script()}},
		{"FailsToDecode", func(w *Watcher[string]) { w.FailsToDecode(3) }, script(bad("/a", 3, 3)), [][]Got[string]{
			script(one), script(deleted), script(bad("/b", 3, 3)), script(bad("/a", 4, 4)), script(bad("/a", 3, 2)),
		}},
		{"HasGap", func(w *Watcher[string]) { w.HasGap(1, 9, kv.ErrCompacted) }, script(gap("/a", 1, 9, kv.ErrCompacted)), [][]Got[string]{
			script(one), script(gap("/b", 1, 9, kv.ErrCompacted)), script(gap("/a", 2, 9, kv.ErrCompacted)), script(gap("/a", 1, 8, kv.ErrCompacted)), script(gap("/a", 1, 9, kv.ErrReset)),
		}},
		{"ComesTo", func(w *Watcher[string]) { w.ComesTo("two") }, script(one, two), [][]Got[string]{script(one, deleted, two), script(one)}},
		{"GivesAfter", func(w *Watcher[string]) { w.GivesAfter(value.ErrDeleted, "two") }, script(deleted, deleted, two), [][]Got[string]{
			script(one, two), script(deleted, gap("/a", 1, 9, kv.ErrCompacted), two), script(deleted),
		}},
		{"HasNothing", func(w *Watcher[string]) { w.HasNothing() }, script(), [][]Got[string]{script(one), script(deleted)}},
		{"Waits", func(w *Watcher[string]) {
			c := w.Begin()
			synctest.Wait()
			c.Waits()
			c.Cancel()
		}, script(), [][]Got[string]{script(one), script(deleted)}},
		{"Call.Gives", func(w *Watcher[string]) { w.Begin().Gives("one") }, script(one), [][]Got[string]{script(two), script(deleted), script()}},
		{"Call.Fails", func(w *Watcher[string]) { w.Begin().Fails(value.ErrDeleted) }, script(deleted), [][]Got[string]{script(two), script()}},
		{"Call.HasGap", func(w *Watcher[string]) { w.Begin().HasGap(1, 9, kv.ErrCompacted) }, script(gap("/a", 1, 9, kv.ErrCompacted)), [][]Got[string]{
			script(one), script(gap("/a", 1, 8, kv.ErrCompacted)),
		}},
		{"Cancel", func(w *Watcher[string]) { w.Begin().Cancel() }, script(), [][]Got[string]{script(one)}},
	} {
		for where, settle := range map[string]func(){"in a bubble": synctest.Wait, "elsewhere": nil} {
			t.Run(c.name+"/"+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					if failure := judge(t, settle, &scripted{answers: c.right}, c.check); failure != "" {
						t.Errorf("what is right was refused: %s", failure)
					}
					for _, wrong := range c.wrong {
						if judge(t, settle, &scripted{answers: wrong}, c.check) == "" {
							t.Errorf("%v was accepted", wrong)
						}
					}
				})
			})
		}
	}
}

func TestAGetThatIgnoresItsContextEndsTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := judge(t, nil, &scripted{stubborn: true}, func(w *Watcher[string]) { w.Gives("one") })
		if want := "a Get of watcher 1 does not return"; failure != want {
			t.Errorf("the failure is %q, want %q", failure, want)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestAFailureReportsWhatHappenedAndWhatWasExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := Got[string]{strings.Repeat("x", 100), nil, 2}
		failure := judge(t, nil, &scripted{answers: []Got[string]{got}}, func(w *Watcher[string]) { w.Gives("one") })
		for _, want := range []string{"watcher 1", "(100 bytes) of revision 2", `want "one"`, "Status: connected false"} {
			if !strings.Contains(failure, want) {
				t.Errorf("the failure does not say %q: %s", want, failure)
			}
		}
	})
}

func TestTheHarnessWaitsAsLongAsTheFaultsRequire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		faults := fault.New(store)
		h := New(Config{T: t, Key: "/a", Faults: faults, Patience: time.Minute, AtOnce: time.Second, Settle: synctest.Wait})
		if _, err := store.Put(t.Context(), "/a", []byte("one")); err != nil {
			t.Fatal(err)
		}
		hold := faults.Hold(fault.Watches)
		w := Follow(h, Sound(value.New(faults, "/a", value.String)), "")
		w.Gives("one")
		h.Held(hold)
		hold.Release()
		h.Streaming(1)
		h.ReadAgain(1, func() { faults.EndStreams(kv.ErrUnavailable) })
		if n := faults.Counts(); n.Watches != 2 || n.Streams != 1 {
			t.Errorf("after a watch has ended, the store has seen: %v", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		for name, wait := range map[string]func(*Harness){
			"Held":      func(h *Harness) { h.Held(h.config.Faults.Hold()) },
			"Streaming": func(h *Harness) { h.Streaming(1) },
			"ReadAgain": func(h *Harness) { h.ReadAgain(1, func() {}) },
		} {
			if judge(t, nil, &scripted{}, func(w *Watcher[string]) { wait(w.h) }) == "" {
				t.Errorf("%s does not say that what it waits for has not happened", name)
			}
		}
	})
}
