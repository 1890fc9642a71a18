package judge

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// judgeRange returns nil if h allows what a watcher of a range returned, by the guarantees of a Map or a bundle. Otherwise it returns the
// first *[Violation]. After a restore, it decides for the watcher where the record leaves a doubt.
func judgeRange(h *RangeHistory, r rangeRecord) error {
	j := rangeJudge{h: h, mode: r.mode, last: sight{mode: r.mode}}
	for i, s := range r.seen {
		if v := j.take(s); v != nil {
			return reportRange(r, i, v)
		}
	}
	if r.open && !j.last.ends(h, j.gap) {
		return reportRange(r, len(r.seen)-1, broken("V3", "in the end the range holds %v, but the watcher has not returned it", textsOf(h.final().entries)))
	}
	return nil
}

// rangeJudge checks one record.
type rangeJudge struct {
	h    *RangeHistory
	mode Mode
	era  int   // the earliest possible era of last
	last sight // the last return that says what the range held
	gap  bool  // a GapError came after last
}

// take checks the next return.
func (j *rangeJudge) take(s sight) *Violation {
	switch s.what {
	case Gap:
		return j.takeGap(s)
	case Cancelled:
		return nil
	case Refused:
		if j.h.Refused {
			return nil
		}
		return broken("V11", "Get was refused, but no read was refused")
	case Failed:
		return broken("V11", "Get returned an error")
	}
	if !j.mode.Bundle && s.what != Value {
		return broken("M5", "Get of a Map returned an error of the range's values")
	}
	era, v := j.eraOf(s)
	if v == nil {
		j.era, j.last, j.gap = era, s, false
	}
	return v
}

// eraOf returns the earliest era in which the range was what s shows, and in which s may follow the last return. If events were lost, s
// may be wrong until the watcher notices it.
func (j *rangeJudge) eraOf(s sight) (era int, v *Violation) {
	for era := j.era; era < s.eras; era++ {
		if !s.shows(j.h.Eras[era].at(s.revision)) || era == j.era && s.revision <= j.last.revision {
			continue
		}
		err := j.follows(s, era)
		if err == nil || s.dropped {
			return era, nil
		}
		if v == nil {
			v = err
		}
	}
	switch {
	case v != nil:
		return 0, v
	case s.dropped:
		return j.era, nil
	case j.last.what != Nothing && s.revision <= j.last.revision:
		return 0, broken("V5", "returned revision %d after revision %d", s.revision, j.last.revision)
	}
	return 0, broken("M2", "returned %v, but at revision %d the range held %v", s, s.revision, textsOf(j.h.Eras[j.era].at(s.revision).entries))
}

// follows checks that s may follow the last return, if s is of an era.
func (j *rangeJudge) follows(s sight, era int) *Violation {
	if j.mode.Every && j.last.what != Nothing && !j.gap && era == j.era {
		if missing, ok := j.h.Eras[era].between(j.last.revision, s.revision); ok {
			return broken("M8", "returned revision %d after %d, but did not return revision %d, which changed the range", s.revision, j.last.revision, missing)
		}
	}
	if j.mode.Bundle {
		return nil
	}
	if v := j.addsUp(s.view); v != nil {
		return v
	}
	for key, item := range s.view.All() {
		if v := j.item(s, era, key, item); v != nil {
			return v
		}
	}
	return nil
}

// addsUp checks that the last View, with the changes of v, is v.
func (j *rangeJudge) addsUp(v value.View[*int]) *Violation {
	sum := map[string]value.Item[*int]{}
	for key, item := range j.last.view.All() {
		sum[key] = item
	}
	removals, before := true, ""
	for c := range v.Changes() {
		old, had := sum[c.Key]
		if (c.Old != nil) != had || had && !sameItem(old, *c.Old) || c.Old == nil && c.New == nil {
			return broken("M3", "the Old of the change of %q differs from the item in the View before", c.Key)
		}
		switch removal := c.New == nil; {
		case removal && !removals:
			return broken("M4", "the removal of %q comes after a put", c.Key)
		case removal != removals:
			removals, before = false, ""
		}
		if c.Key <= before {
			return broken("M3", "the change of %q comes after that of %q", c.Key, before)
		}
		if before = c.Key; c.New == nil {
			delete(sum, c.Key)
			continue
		}
		if had && sameItem(old, *c.New) {
			return broken("M6", "%q is in Changes, but has not changed", c.Key)
		}
		sum[c.Key] = *c.New
	}
	n := 0
	for key, item := range v.All() {
		n++
		if got, ok := sum[key]; !ok || !sameItem(got, item) {
			return broken("M3", "the View before with the changes has a different %q", key)
		}
	}
	if n != len(sum) || n != v.Len() {
		return broken("M3", "the View has %d keys and a Len of %d, but the View before with the changes has %d keys", n, v.Len(), len(sum))
	}
	return nil
}

// sameItem reports whether two items show the same. They may have been decoded separately.
func sameItem(a, b value.Item[*int]) bool {
	return a.ModRevision == b.ModRevision && a.CreateRevision == b.CreateRevision && a.Version == b.Version &&
		a.ValueRevision == b.ValueRevision && textOf(a) == textOf(b) && (a.Value == b.Value || a.Value != nil && b.Value != nil && *a.Value == *b.Value)
}

// item checks one key of a View.
func (j *rangeJudge) item(s sight, era int, key string, item value.Item[*int]) *Violation {
	was, had := j.last.view.Get(key)
	// If a Map has noticed that history was replaced, it cannot know which of the earlier good values belong to the new history.
	same := had && era == j.era && was.CreateRevision == item.CreateRevision && j.last.resetsBefore == s.resetsAfter
	if same && item.ValueRevision < was.ValueRevision {
		return broken("M5", "the last good value of %q was of revision %d, and is now of revision %d", key, was.ValueRevision, item.ValueRevision)
	}
	if same && s.eras == 1 && !j.mode.Every && was.ModRevision == item.ModRevision && item.Err == nil && was.Value != item.Value {
		return broken("M6", "%q did not change, but was decoded again", key)
	}
	if item.Err == nil {
		if item.ValueRevision != item.ModRevision {
			return broken("M5", "the good value of %q is of revision %d, but its ValueRevision is %d", key, item.ModRevision, item.ValueRevision)
		}
		return nil
	}
	if bad, ok := errors.AsType[*value.DecodeError](item.Err); !ok || bad.Key != key || bad.Revision != item.ModRevision {
		return broken("M5", "the error of %q at revision %d is %v", key, item.ModRevision, item.Err)
	}
	if item.Value != nil && item.ValueRevision != 0 && !j.h.has(key, item.ValueRevision, strconv.Itoa(*item.Value)) {
		return broken("M5", "the last good value of %q is %d of revision %d, but the key never had that value", key, *item.Value, item.ValueRevision)
	}
	return nil
}

// takeGap checks that there is a reason for a GapError.
func (j *rangeJudge) takeGap(s sight) *Violation {
	gap, _ := errors.AsType[*value.GapError](s.err)
	forgotten := func(e Era) bool { return gap.From < e.Forgotten-1 }
	switch {
	case !j.mode.Every:
		return broken("V3", "a watcher of the newest value returned a gap")
	case errors.Is(s.err, kv.ErrReset) && j.era == s.eras-1 && !s.dropped:
		return broken("M8", "returned a gap, but no history was replaced")
	case errors.Is(s.err, value.ErrLostEvent) && !s.dropped:
		return broken("M8", "returned a gap, but no event was lost")
	case errors.Is(s.err, kv.ErrCompacted) && !slices.ContainsFunc(j.h.Eras, forgotten):
		return broken("M8", "returned a gap, but the store has the history")
	}
	j.gap = true
	return nil
}

// reportRange completes v with what the watcher returned up to place i.
func reportRange(r rangeRecord, i int, v *Violation) error {
	const most = 4
	v.Watcher = r.mode.Name
	var texts []string
	for _, s := range r.seen[max(0, i+1-most) : i+1] {
		texts = append(texts, s.String())
	}
	v.Returned = "\n\t\t" + strings.Join(texts, "\n\t\t")
	return v
}
