package values

import (
	"errors"
	"fmt"
	"slices"

	"github.com/watchkv/watchkv/kv"
)

// judge requires that the Views of a watcher show what was written, and that each View follows the one before. A check calls it when all writes
// have ended, because a View may be returned before its write was acknowledged.
func (r *mapReader) judge() {
	var before View
	for i, v := range r.given {
		r.heldThen(v)
		r.addsUp(before, v)
		switch {
		case before != nil && v.Revision() <= before.Revision():
			r.e.Fatalf("%s returned the View of revision %d after that of revision %d", r.Name, v.Revision(), before.Revision())
		case r.at[i] != v.Revision():
			r.e.Fatalf("%s returned the View of revision %d, but its Revision returns %d", r.Name, v.Revision(), r.at[i])
		case before != nil && r.every && !(r.gaps > 0 && i == r.gapAt):
			r.nothingBetween(before, v)
		case before != nil && !r.every:
			r.sameValues(before, v)
		}
		before = v
	}
}

// heldThen requires that v shows what the range held at its revision.
func (r *mapReader) heldThen(v View) {
	want := r.e.Ledger.EntriesAt(r.e.part(), v.Revision())
	if diff := r.e.EntriesDiffer(want, r.entries(v)); diff != "" {
		r.e.Fatalf("%s returned a View of revision %d that differs from what the range held then:\n%s", r.Name, v.Revision(), diff)
	}
	if v.Len() != len(want) {
		r.e.Fatalf("%s returned a View of %d keys whose Len is %d", r.Name, len(want), v.Len())
	}
	for key, item := range v.All() {
		if got, ok := v.Get(key); !ok || got != item {
			r.e.Fatalf("%s returned a View with %s of %s, but its Get returns %s (%v)", r.Name, shown(&item), r.e.Short(key), shown(&got), ok)
		}
	}
}

// entries returns what a View shows.
func (r *mapReader) entries(v View) (entries []kv.Entry) {
	for key, item := range v.All() {
		entries = append(entries, kv.Entry{
			Key: key, Value: []byte(r.newestText(key, item)),
			CreateRevision: item.CreateRevision, ModRevision: item.ModRevision, Version: item.Version,
		})
	}
	return entries
}

// newestText returns the newest value of a key, good or bad.
func (r *mapReader) newestText(key string, item Item) string {
	if item.Err == nil {
		if item.ValueRevision != item.ModRevision {
			r.e.Fatalf("%s returned a View with a good value of %s from revision %d, but its ValueRevision is %d", r.Name, r.e.Short(key), item.ModRevision, item.ValueRevision)
		}
		return *item.Value
	}
	bad, ok := asDecodeError(item.Err)
	text, isText := errors.AsType[badText](item.Err)
	if !ok || !isText || bad.Key != key || bad.Revision != item.ModRevision {
		r.e.Fatalf("%s returned a View in which the error of %s, put at revision %d, is %v", r.Name, r.e.Short(key), item.ModRevision, item.Err)
	}
	return string(text)
}

// addsUp requires that the View before, with the changes of v, is v.
func (r *mapReader) addsUp(before, v View) {
	sum := make(map[string]Item)
	if before != nil {
		for key, item := range before.All() {
			sum[key] = item
		}
	}
	var removed, put []string
	for c := range v.Changes() {
		old, had := sum[c.Key]
		if had != (c.Old != nil) || had && !same(old, *c.Old) || c.Old == nil && c.New == nil {
			r.e.Fatalf("%s returned a View of revision %d whose change of %s is from %s to %s, but before it was %s",
				r.Name, v.Revision(), r.e.Short(c.Key), shown(c.Old), shown(c.New), shownIf(old, had))
		}
		if c.Old != nil && c.New != nil && same(*c.Old, *c.New) {
			r.e.Fatalf("%s returned a View of revision %d that has %s in Changes, but that key has not changed", r.Name, v.Revision(), r.e.Short(c.Key))
		}
		if c.New != nil {
			put = append(put, c.Key)
			sum[c.Key] = *c.New
			continue
		}
		removed = append(removed, c.Key)
		delete(sum, c.Key)
		if len(put) > 0 {
			r.e.Fatalf("%s returned a View of revision %d whose Changes have the removal of %s after a put", r.Name, v.Revision(), r.e.Short(c.Key))
		}
	}
	for _, keys := range [][]string{removed, put} {
		if !slices.IsSorted(keys) || len(slices.Compact(keys)) != len(keys) {
			r.e.Fatalf("%s returned a View of revision %d whose Changes have a key twice, or keys out of order: %q", r.Name, v.Revision(), keys)
		}
	}
	n := 0
	for key, item := range v.All() {
		n++
		if got, ok := sum[key]; !ok || !same(got, item) {
			r.e.Fatalf("%s returned a View of revision %d that has %s for %s, but the View before with its changes has %s",
				r.Name, v.Revision(), shown(&item), r.e.Short(key), shownIf(got, ok))
		}
	}
	if n != len(sum) {
		r.e.Fatalf("%s returned a View of revision %d with %d keys, but the View before with its changes has %d", r.Name, v.Revision(), n, len(sum))
	}
}

// same reports whether two items show the same. Their values may have been decoded twice: once for all watchers, and once from the history that
// one watcher has read itself.
func same(a, b Item) bool {
	return a.ModRevision == b.ModRevision && a.CreateRevision == b.CreateRevision && a.Version == b.Version &&
		a.ValueRevision == b.ValueRevision && (a.Err == nil) == (b.Err == nil) && shown(&a) == shown(&b)
}

// nothingBetween requires that no revision between those of two Views has changed the range.
func (r *mapReader) nothingBetween(before, v View) {
	for _, event := range r.e.Ledger.EventsAfter(r.e.part(), before.Revision()) {
		if event.ModRevision < v.Revision() {
			r.e.Fatalf("%s returned the View of revision %d after that of revision %d, but not the View of revision %d, which changed %s",
				r.Name, v.Revision(), before.Revision(), event.ModRevision, r.e.Short(event.Key))
		}
	}
}

// sameValues requires that a key which did not change between two Views has the same decoded value in both.
func (r *mapReader) sameValues(before, v View) {
	for key, item := range v.All() {
		was, ok := before.Get(key)
		if ok && was.Err == nil && was.ModRevision == item.ModRevision && was.Value != item.Value {
			r.e.Fatalf("%s returned two Views in which %s is of revision %d, but it was decoded for each View", r.Name, r.e.Short(key), item.ModRevision)
		}
	}
}

// holds requires that v has these keys and values, in the form "a=1 b=2". A bad value is shown with the last good value: "a=bad(1)".
func (e *env) holds(v View, want string) {
	got := ""
	for key, item := range v.All() {
		got += " " + key[len(e.in("")):] + "=" + shown(&item)
	}
	if got = got[min(1, len(got)):]; got != want {
		e.Fatalf("the View of revision %d holds %q, want %q", v.Revision(), got, want)
	}
}

// changed requires that v has these changes, in the form "a:none->1".
func (e *env) changed(v View, want ...string) {
	var got []string
	for c := range v.Changes() {
		got = append(got, fmt.Sprintf("%s:%s->%s", c.Key[len(e.in("")):], shown(c.Old), shown(c.New)))
	}
	if !slices.Equal(got, want) {
		e.Fatalf("the View of revision %d has the changes %q, want %q", v.Revision(), got, want)
	}
}

func shown(item *Item) string {
	switch {
	case item == nil:
		return "none"
	case item.Err == nil && item.Value != nil:
		return *item.Value
	case item.Value == nil:
		return "bad"
	}
	return "bad(" + *item.Value + ")"
}

func shownIf(item Item, ok bool) string {
	if !ok {
		return "none"
	}
	return shown(&item)
}
