package judge

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// recording is a range, and the records of its watchers. After each write, each watcher has returned one thing.
type recording struct {
	*testing.T
	store  *memory.Store
	writer *RangeWriter
	views  []*value.Watcher[value.View[*int]]
	record []rangeRecord // one for each of views, and one for the bundle
	bundle *value.Watcher[bundled]
}

// newRecording writes a range: two puts, a commit, a deletion, a bad value, and a good one. The watchers of a Map are one of every update and one of
// the newest. A third watcher is of the newest of another Map, which decodes the values again.
func newRecording(t *testing.T, half bool) *recording {
	store := memory.New()
	writer, err := NewRangeWriter(t.Context(), store, "/r", 1)
	d := &recording{T: t, store: store, writer: writer}
	d.must(err)
	one, other := value.NewMap(store, writer.Range(), decodeOne), value.NewMap(store, writer.Range(), decodeOne)
	d.views = []*value.Watcher[value.View[*int]]{one.Watch(value.EveryUpdate()), one.Watch(), other.Watch()}
	d.bundle = value.NewBundle(store, writer.Range(), decodeAll).Watch()
	t.Cleanup(func() {
		for _, w := range d.views {
			w.Close()
		}
		d.bundle.Close()
	})
	for i := range d.views {
		d.record = append(d.record, rangeRecord{mode: Mode{Name: "of a test", Every: i == 0}, open: true})
	}
	d.record = append(d.record, rangeRecord{mode: Mode{Name: "of a test", Bundle: true}, open: true})
	commit := []kv.Op{writer.put(0, Good), writer.put(1, Good)}
	if half {
		commit = commit[:1]
	}
	for _, ops := range [][]kv.Op{
		{writer.put(0, Good)}, {writer.put(1, Good)}, commit, {kv.DeleteOp(writer.key(0))}, {writer.put(1, Bad)}, {writer.put(1, Good)},
	} {
		d.must(writer.write(t.Context(), ops...))
		d.look()
	}
	_, err = writer.Resolve(t.Context())
	d.must(err)
	return d
}

func (d *recording) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// look reads each watcher once.
func (d *recording) look() {
	time.Sleep(time.Second)
	synctest.Wait()
	for i, w := range d.views {
		v, err := w.TryGet()
		d.note(i, sight{revision: v.Revision(), view: v}, err)
	}
	b, err := d.bundle.TryGet()
	d.note(len(d.views), sight{revision: d.bundle.Revision(), bundle: b}, err)
}

func (d *recording) note(i int, s sight, err error) {
	s.mode, s.what, s.err, s.eras = d.record[i].mode, whatOf(d.Context(), err), err, 1
	d.record[i].seen = append(d.record[i].seen, s)
}

// The indexes of the records.
const (
	every = iota
	newest
	ofAnother
	ofBundle
)

// gapped returns the record of a GapError.
func gapped(why error) sight {
	return sight{what: Gap, err: &value.GapError{From: 3, To: 4, Err: why}, eras: 1}
}

// Each row changes one thing in a correct record. The judge must reject the record with the guarantee that the change breaks.
func TestTheJudgeRejectsIncorrectRecordsOfARange(t *testing.T) {
	type seen = []sight
	for _, c := range []struct {
		name      string
		guarantee string // "" if nothing is wrong
		of        int
		change    func(s seen, d, half *recording) seen
	}{
		{"nothing", "", every, func(s seen, _, _ *recording) seen { return s }},
		{"nothing of the newest", "", newest, func(s seen, _, _ *recording) seen { return s }},
		{"nothing of a bundle", "", ofBundle, func(s seen, _, _ *recording) seen { return s }},
		{"a View is missing", "M8", every, func(s seen, _, _ *recording) seen { return slices.Delete(s, 2, 3) }},
		{"its changes are missing", "M3", newest, func(s seen, _, _ *recording) seen { return slices.Delete(s, 2, 3) }},
		{"the last View is missing", "V3", newest, func(s seen, _, _ *recording) seen { return s[:len(s)-1] }},
		{"the last bundle is missing", "V3", ofBundle, func(s seen, _, _ *recording) seen { return s[:len(s)-1] }},
		{"a View comes twice", "V5", newest, func(s seen, _, _ *recording) seen { return slices.Insert(s, 2, s[1]) }},
		{"two Views come in another order", "M8", every, func(s seen, _, _ *recording) seen { s[1], s[2] = s[2], s[1]; return s }},
		{"half of a commit is seen", "M2", newest, func(s seen, _, half *recording) seen { s[2] = half.record[newest].seen[2]; return s }},
		{"half of a commit is seen in a bundle", "M2", ofBundle, func(s seen, _, half *recording) seen { s[2] = half.record[ofBundle].seen[2]; return s }},
		{"a View is of another revision", "M2", newest, func(s seen, _, _ *recording) seen { s[1].revision++; return s }},
		{"a value is decoded twice", "M6", newest, func(s seen, d, _ *recording) seen { s[1] = d.record[ofAnother].seen[1]; return s }},
		{"a bad value is an error of the Map", "M5", newest, func(s seen, d, _ *recording) seen { s[4] = d.record[ofBundle].seen[4]; return s }},
		{"a gap that has no reason", "M8", every, func(s seen, _, _ *recording) seen { return slices.Insert(s, 2, gapped(kv.ErrCompacted)) }},
		{"a gap of a replaced history", "M8", every, func(s seen, _, _ *recording) seen { return slices.Insert(s, 2, gapped(kv.ErrReset)) }},
		{"a gap of a lost event", "M8", every, func(s seen, _, _ *recording) seen { return slices.Insert(s, 2, gapped(value.ErrLostEvent)) }},
		{"a gap of the newest", "V3", newest, func(s seen, _, _ *recording) seen { return slices.Insert(s, 2, gapped(kv.ErrCompacted)) }},
		{"a refusal", "V11", newest, func(s seen, _, _ *recording) seen {
			return slices.Insert(s, 2, sight{what: Refused, err: kv.ErrPermission})
		}},
		{"an outage", "V11", newest, func(s seen, _, _ *recording) seen {
			return slices.Insert(s, 2, sight{what: Failed, err: kv.ErrUnavailable})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, half := newRecording(t, false), newRecording(t, true)
				r := d.record[c.of]
				r.seen = c.change(slices.Clone(r.seen), d, half)
				err := judgeRange(d.writer.History(), r)
				broken, ok := errors.AsType[*Violation](err)
				switch {
				case c.guarantee == "" && err != nil:
					t.Errorf("the judge found %v in a correct record", err)
				case c.guarantee != "" && (!ok || broken.Guarantee != c.guarantee):
					t.Errorf("the judge found %v, want a violation of %s", err, c.guarantee)
				default:
					t.Log(err)
				}
			})
		})
	}
}

// A gap is correct if the store has forgotten history that the watcher has not returned. Then the Views that are missing before the gap are no
// violation.
func TestAGapIsAcceptedWhereHistoryWasCompacted(t *testing.T) {
	for forgotten, guarantee := range map[kv.Revision]string{
		5: "M3", // the gap is correct, but the Changes after it do not begin at the View before it
		4: "M8", // the gap is wrong, because the store still has what is missing
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newRecording(t, false)
			d.writer.Excuse(forgotten)
			r := d.record[every]
			r.seen = slices.Insert(slices.Delete(slices.Clone(r.seen), 1, 2), 1, gapped(kv.ErrCompacted))
			err := judgeRange(d.writer.History(), r)
			if broken, ok := errors.AsType[*Violation](err); !ok || broken.Guarantee != guarantee {
				t.Errorf("the history before %d is forgotten, and the judge found %v; want a violation of %s", forgotten, err, guarantee)
			}
		})
	}
}

// All bad values of a bundle are alike, and so are all its deletions. Only the revision says whether a watcher has returned the last one.
func TestTheJudgeAsksForTheLastOfSeveralBadValuesAndDeletionsOfABundle(t *testing.T) {
	for _, c := range []struct {
		what         What
		before, last func(w *RangeWriter) kv.Op // two writes, after each of which the range is the same to a bundle
	}{
		{BadValue, func(w *RangeWriter) kv.Op { return w.put(0, Bad) }, func(w *RangeWriter) kv.Op { return w.put(1, Bad) }},
		{Deleted, func(w *RangeWriter) kv.Op { return kv.DeleteOp(w.key(0)) }, func(w *RangeWriter) kv.Op { return kv.DeleteOp(w.key(0)) }},
	} {
		store := memory.New()
		writer, err := NewRangeWriter(t.Context(), store, "/r", 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range []kv.Op{writer.put(0, Good), c.before(writer), writer.put(0, Good), c.last(writer)} {
			if err := writer.write(t.Context(), op); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := writer.Resolve(t.Context()); err != nil {
			t.Fatal(err)
		}
		h := writer.History()
		end := h.final().since
		for _, revision := range []kv.Revision{end - 2, end} {
			mode := Mode{Name: "of a test", Bundle: true, Every: true}
			seen := []sight{{mode: mode, what: c.what, revision: revision, eras: 1}}
			err := judgeRange(h, rangeRecord{mode: mode, seen: seen, open: true})
			broken, _ := errors.AsType[*Violation](err)
			switch {
			case revision == end && err != nil:
				t.Errorf("what %v: the judge found %v, although the watcher has returned revision %d, the last", c.what, err, end)
			case revision < end && (broken == nil || broken.Guarantee != "V3"):
				t.Errorf("what %v: the judge found %v, although the watcher has returned revision %d and not %d, the last; want a violation of V3", c.what, err, revision, end)
			}
		}
	}
}

// A key that came and went leaves the range as it was. That is no news to a watcher of the newest. To one of every update it is two updates, unless
// it has reported a gap instead.
func TestTheJudgeAsksForTheSameContentsAgainOnlyWithEveryUpdate(t *testing.T) {
	store := memory.New()
	writer, err := NewRangeWriter(t.Context(), store, "/r", 1)
	if err != nil {
		t.Fatal(err)
	}
	write := func(op kv.Op) {
		if err := writer.write(t.Context(), op); err != nil {
			t.Fatal(err)
		}
	}
	write(writer.put(0, Good))
	if _, err := writer.Resolve(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := writer.History().final()
	write(writer.put(1, Good))
	write(kv.DeleteOp(writer.key(1)))
	if _, err := writer.Resolve(t.Context()); err != nil {
		t.Fatal(err)
	}
	writer.Excuse(writer.resolved)
	h := writer.History()
	for _, c := range []struct{ every, gap, broken bool }{{false, false, false}, {true, false, true}, {true, true, false}} {
		mode := Mode{Name: "of a test", Bundle: true, Every: c.every}
		seen := []sight{{mode: mode, what: Value, bundle: textsOf(first.entries), revision: first.since, eras: 1}}
		if c.gap {
			gap := &value.GapError{From: first.since, To: h.final().since, Err: new(kv.CompactedError)}
			seen = append(seen, sight{mode: mode, what: Gap, err: gap, eras: 1})
		}
		if endsInGap(seen) != c.gap {
			t.Errorf("endsInGap of %v is %t", seen, !c.gap)
		}
		err := judgeRange(h, rangeRecord{mode: mode, seen: seen, open: true})
		broken, _ := errors.AsType[*Violation](err)
		if violation := broken != nil && broken.Guarantee == "V3"; violation != c.broken || !c.broken && err != nil {
			t.Errorf("every update: %t, after a gap: %t: the judge found %v; want a violation of V3: %t", c.every, c.gap, err, c.broken)
		}
	}
}
