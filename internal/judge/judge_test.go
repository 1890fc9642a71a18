package judge_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/watchkv/watchkv/internal/judge"
	"github.com/watchkv/watchkv/kv"
)

// history returns a history with every kind of update that a watcher can return:
//
//	2 "1", 3 "2", 4 a bad value, 6 deleted, 8 "4", 9 "6", 10 deleted, 12 "7"
func history() *judge.History {
	return &judge.History{Epochs: []judge.Epoch{{Updates: []judge.Update{
		{Revision: 2, State: judge.Good, Value: "1"},
		{Revision: 3, State: judge.Good, Value: "2"},
		{Revision: 4, State: judge.Bad, Value: "bad 3"},
		{Revision: 6},
		{Revision: 8, State: judge.Good, Value: "4"},
		{Revision: 9, State: judge.Good, Value: "6"},
		{Revision: 10},
		{Revision: 12, State: judge.Good, Value: "7"},
	}}}}
}

// forgotten returns history, but the store has forgotten its beginning.
func forgotten() *judge.History {
	h := history()
	h.Epochs[0].Forgotten = 9
	return h
}

// until returns history up to a revision.
func until(last kv.Revision) *judge.History {
	h := history()
	e := &h.Epochs[0]
	for e.Updates[len(e.Updates)-1].Revision > last {
		e.Updates = e.Updates[:len(e.Updates)-1]
	}
	return h
}

// restored returns history, which is then restored to base and continues with 10 "8" and 11 "9".
func restored(base kv.Revision) *judge.History {
	h := history()
	h.Epochs = append(h.Epochs, judge.Epoch{Base: base, Updates: append(until(base).Epochs[0].Updates,
		judge.Update{Revision: 10, State: judge.Good, Value: "8"}, judge.Update{Revision: 11, State: judge.Good, Value: "9"})})
	return h
}

// These functions return what a watcher may return.
func is(value string, revision kv.Revision) judge.Returned {
	return judge.Returned{What: judge.Value, Text: value, Revision: revision}
}
func isBad(value string, revision kv.Revision) judge.Returned {
	return judge.Returned{What: judge.BadValue, Text: value, Revision: revision}
}
func gone(revision kv.Revision) judge.Returned {
	return judge.Returned{What: judge.Deleted, Revision: revision}
}
func gap(from, to kv.Revision) judge.Returned {
	return judge.Returned{What: judge.Gap, From: from, To: to, Text: "compacted"}
}
func reset(from, to kv.Revision) judge.Returned {
	return judge.Returned{What: judge.Gap, From: from, To: to, Text: "replaced", Reset: true}
}

var (
	cancelled = judge.Returned{What: judge.Cancelled}
	refused   = judge.Returned{What: judge.Refused}

	newest        = judge.Mode{Name: "newest"}
	every         = judge.Mode{Name: "every", Every: true}
	filtered      = judge.Mode{Name: "filtered newest", Filter: true}
	filteredEvery = judge.Mode{Name: "filtered every", Every: true, Filter: true}
	fallback      = judge.Mode{Name: "newest with a default", Default: true}
	fallbackEvery = judge.Mode{Name: "every with a default", Every: true, Default: true}

	all = []judge.Returned{is("1", 2), is("2", 3), isBad("bad 3", 4), gone(6), is("4", 8), is("6", 9), gone(10), is("7", 12)}
)

// but returns all, with the update at position i replaced by others.
func but(i int, others ...judge.Returned) []judge.Returned {
	returned := append([]judge.Returned{}, all[:i]...)
	return append(append(returned, others...), all[i+1:]...)
}

func TestTheJudgeAcceptsCorrectRecords(t *testing.T) {
	for _, c := range []struct {
		name     string
		h        *judge.History
		mode     judge.Mode
		returned []judge.Returned
	}{
		{"every update", history(), every, all},
		{"only the newest", history(), newest, all[7:]},
		{"some of the newest", history(), newest, []judge.Returned{is("2", 3), gone(7), is("4", 8), is("7", 12)}},
		{"a deletion by a revision after it", history(), every, but(3, gone(7))},
		{"begun late", history(), every, all[4:]},
		{"cancelled Gets", history(), every, but(4, cancelled, all[4], cancelled)},
		{"a gap", forgotten(), every, []judge.Returned{is("1", 2), gap(2, 9), is("6", 9), gone(10), is("7", 12)}},
		{"a gap that begins with an absence", forgotten(), every, []judge.Returned{gap(1, 10), is("7", 12)}},
		{"a gap that ends with one", forgotten(), every, []judge.Returned{is("1", 2), gap(2, 10), gone(10), is("7", 12)}},
		{"a gap from absence to absence", forgotten(), every, []judge.Returned{is("1", 2), is("2", 3), gap(3, 6), gone(6), gap(7, 10), is("7", 12)}},
		{"a filter", history(), filtered, []judge.Returned{is("6", 9)}},
		{"a filter, and a deletion of what was passed over", history(), filtered, []judge.Returned{gone(6), is("6", 9), gone(10)}},
		{"a filter on every update", history(), filteredEvery, []judge.Returned{isBad("bad 3", 4), gone(6), is("6", 9), gone(10)}},
		{"a default", history(), fallback, []judge.Returned{gone(1), is("7", 12)}},
		{"a default, and every update", history(), fallbackEvery, append([]judge.Returned{gone(1)}, all...)},
		{"a deletion in the end", until(10), newest, []judge.Returned{is("2", 3), gone(10)}},
		{"a deletion in the end of what was never seen", until(10), newest, nil},
		{"a bad value in the end", until(4), newest, []judge.Returned{isBad("bad 3", 4)}},
		{"a restore", restored(8), newest, []judge.Returned{is("7", 12), is("4", 8), is("9", 11)}},
		{"a restore that was not noticed", restored(8), every, []judge.Returned{is("4", 8), is("8", 10), is("9", 11)}},
		{"a restore and every update", restored(8), every, []judge.Returned{is("7", 12), reset(12, 8), is("4", 8), is("8", 10), is("9", 11)}},
		{"a restore to before what is gone", restored(6), every,
			[]judge.Returned{is("7", 12), reset(12, 6), gone(6), is("8", 10), is("9", 11)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := judge.Check(c.h, judge.Record{Mode: c.mode, Returned: c.returned, Open: true}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheJudgeRejectsIncorrectRecords(t *testing.T) {
	for _, c := range []struct {
		name      string
		guarantee string
		h         *judge.History
		mode      judge.Mode
		returned  []judge.Returned
	}{
		{"not the newest in the end", "V3", history(), newest, all[4:6]},
		{"nothing", "V3", history(), newest, nil},
		{"a value that never was", "V3", history(), newest, []judge.Returned{is("5", 8), is("7", 12)}},
		{"a value at another's revision", "V3", history(), every, but(4, is("4", 9))},
		{"a deletion where the key was there", "V3", history(), newest, []judge.Returned{is("1", 2), gone(3), is("7", 12)}},
		{"a value that was not asked for", "V3", history(), filtered, []judge.Returned{is("4", 8)}},
		{"an update left out", "V4", history(), every, but(1)},
		{"the last left out", "V3", history(), every, all[:7]},
		{"an update twice", "V4", history(), every, but(1, all[1], all[1])},
		{"updates in another order", "V5", history(), every, but(0, all[1], all[0])},
		{"a wanted update left out by a filter", "V4", history(), filteredEvery, []judge.Returned{isBad("bad 3", 4), gone(6), gone(10)}},
		{"a gap where nothing was forgotten", "V4", history(), every, []judge.Returned{is("1", 2), gap(2, 9), is("6", 9), gone(10), is("7", 12)}},
		{"a gap where all was returned that is forgotten", "V4", forgotten(), every, []judge.Returned{is("1", 2), is("2", 3), isBad("bad 3", 4), gone(6), is("4", 8), gap(8, 12), is("7", 12)}},
		{"a gap and not what it leads to", "V4", forgotten(), every, []judge.Returned{is("1", 2), gap(2, 9), gone(10), is("7", 12)}},
		{"a gap and more that is left out", "V6", forgotten(), every, []judge.Returned{is("1", 2), gap(2, 9), is("6", 9), is("7", 12)}},
		{"a gap that claims what was not returned", "V4", forgotten(), every, []judge.Returned{is("1", 2), gap(3, 9), is("6", 9), gone(10), is("7", 12)}},
		{"a gap from before what was returned", "V4", forgotten(), every, []judge.Returned{is("1", 2), is("2", 3), gap(2, 9), is("6", 9), gone(10), is("7", 12)}},
		{"two gaps for one loss", "V4", forgotten(), every, []judge.Returned{is("1", 2), gap(2, 9), gap(2, 9), is("6", 9), gone(10), is("7", 12)}},
		{"a gap to where it began", "V4", forgotten(), every, but(1, all[1], gap(3, 3))},
		{"a gap returned to a watcher of the newest", "V4", forgotten(), newest, []judge.Returned{is("1", 2), gap(2, 9), is("7", 12)}},
		{"a gap for a history that was not replaced", "V4", history(), every, but(1, all[1], reset(3, 4))},
		{"back", "V5", history(), newest, []judge.Returned{is("6", 9), is("2", 3), is("7", 12)}},
		{"back to where it began", "V5", history(), newest, []judge.Returned{is("7", 12), is("6", 9), is("7", 12)}},
		{"a deletion left out", "V6", history(), every, but(6)},
		{"a deletion in the end left out", "V6", until(10), newest, []judge.Returned{is("6", 9)}},
		{"a deletion twice", "V6", history(), newest, []judge.Returned{is("1", 2), gone(6), gone(7), is("7", 12)}},
		{"a deletion twice, of every update", "V6", history(), every, but(3, gone(6), gone(7))},
		{"a deletion twice, as a default", "V6", history(), fallback, []judge.Returned{gone(1), gone(6), is("7", 12)}},
		{"a deletion of what was not returned", "V6", history(), newest, []judge.Returned{gone(6), is("7", 12)}},
		{"an absence after a gap left out", "V6", forgotten(), every, []judge.Returned{is("1", 2), gap(2, 10), is("7", 12)}},
		{"a bad value left out", "V7", history(), every, but(2)},
		{"a bad value in the end left out", "V7", until(4), newest, []judge.Returned{is("2", 3)}},
		{"a bad value twice", "V7", history(), every, but(2, all[2], all[2])},
		{"a bad value twice, of the newest", "V7", until(4), newest, []judge.Returned{isBad("bad 3", 4), isBad("bad 3", 4)}},
		{"an update left out by a cancelled Get", "V8", history(), every, but(1, cancelled)},
		{"the last left out by a cancelled Get", "V8", history(), newest, []judge.Returned{is("6", 9), cancelled}},
		{"an error", "V11", history(), newest, []judge.Returned{{What: judge.Failed, Text: "unavailable"}, is("7", 12)}},
		{"a refusal", "V11", history(), newest, []judge.Returned{refused, is("7", 12)}},
		{"the newest twice", "V13", history(), newest, []judge.Returned{is("7", 12), is("7", 12)}},
		{"the same after a restore", "V13", restored(8), newest, []judge.Returned{is("4", 8), is("4", 8), is("9", 11)}},
		{"back after a restore", "V5", restored(8), newest, []judge.Returned{is("9", 11), is("8", 10), is("9", 11)}},
		{"a restore without a gap", "V4", restored(8), every, []judge.Returned{is("7", 12), is("8", 10), is("9", 11)}},
		{"an update left out after a restore", "V4", restored(8), every, []judge.Returned{is("7", 12), reset(12, 8), is("4", 8), is("9", 11)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := judge.Check(c.h, judge.Record{Mode: c.mode, Returned: c.returned, Open: true})
			var broken *judge.Violation
			if !errors.As(err, &broken) {
				t.Fatalf("the judge found %v, want a violation of %s", err, c.guarantee)
			}
			if broken.Guarantee != c.guarantee {
				t.Errorf("the judge found %v\nwant a violation of %s", err, c.guarantee)
			}
			if !strings.HasPrefix(err.Error(), c.guarantee) || !strings.Contains(err.Error(), c.mode.Name) {
				t.Errorf("the error does not name the guarantee or the watcher: %v", err)
			}
		})
	}
}

func TestTheJudgeAcceptsARefusalWhilePermissionIsLost(t *testing.T) {
	h := history()
	h.Refused = true
	if err := judge.Check(h, judge.Record{Mode: newest, Returned: []judge.Returned{refused, is("7", 12)}, Open: true}); err != nil {
		t.Error(err)
	}
}

// A watcher that was closed before the end need not have returned everything.
func TestTheJudgeExpectsNothingOfAClosedWatcher(t *testing.T) {
	if err := judge.Check(history(), judge.Record{Mode: every, Returned: all[:3]}); err != nil {
		t.Error(err)
	}
}
