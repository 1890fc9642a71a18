package suite

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/watchkv/watchkv/kv"
)

// EntriesDiffer returns "" if want and got are the same. Otherwise it returns a diff of the place where they first differ.
func (e *Env) EntriesDiffer(want, got []kv.Entry) string {
	if slices.EqualFunc(want, got, sameEntry) {
		return "" // almost always, so nothing is made to be shown
	}
	return e.difference(SeenEntries(want), SeenEntries(got))
}

// eventsDiffer is EntriesDiffer for events. Within one revision any order is right.
func (e *Env) eventsDiffer(want, got []kv.Event) string {
	want, got = sortedWithinRevisions(want), sortedWithinRevisions(got)
	if slices.EqualFunc(want, got, SameEvent) {
		return ""
	}
	return e.difference(seenEvents(want), seenEvents(got))
}

// SameEvent reports whether two events say the same.
func SameEvent(a, b kv.Event) bool { return a.Type == b.Type && sameEntry(a.Entry, b.Entry) }

func sameEntry(a, b kv.Entry) bool {
	return a.Key == b.Key && a.CreateRevision == b.CreateRevision && a.ModRevision == b.ModRevision && a.Version == b.Version &&
		bytes.Equal(a.Value, b.Value)
}

// Seen is an event or an entry in the form in which it is shown. Long values are replaced by their hash, so a difference of two megabytes is
// one line.
type Seen struct {
	Event                       string
	Key                         string
	Value                       string
	CreateRevision, ModRevision kv.Revision
	Version                     int64
}

func (s Seen) String() string {
	switch s.Event {
	case kv.EventDelete.String():
		return fmt.Sprintf("revision %d: delete %s%s", s.ModRevision, s.Key, s.unexpected())
	case "":
		return fmt.Sprintf("%s = %s, created %d, modified %d, version %d", s.Key, s.Value, s.CreateRevision, s.ModRevision, s.Version)
	}
	return fmt.Sprintf("revision %d: %s %s = %s, created %d, version %d", s.ModRevision, s.Event, s.Key, s.Value, s.CreateRevision, s.Version)
}

// unexpected returns what a deletion has although it should have nothing.
func (s Seen) unexpected() string {
	if s.Value == hashed("") && s.CreateRevision == 0 && s.Version == 0 {
		return ""
	}
	return fmt.Sprintf(" = %s, created %d, version %d", s.Value, s.CreateRevision, s.Version)
}

func SeenEntries(entries []kv.Entry) []Seen {
	all := make([]Seen, len(entries))
	for i, entry := range entries {
		all[i] = seen("", entry)
	}
	return all
}

func seenEvents(events []kv.Event) []Seen {
	all := make([]Seen, len(events))
	for i, event := range events {
		all[i] = SeenEvent(event)
	}
	return all
}

func SeenEvent(event kv.Event) Seen { return seen(event.Type.String(), event.Entry) }

func seen(event string, entry kv.Entry) Seen {
	return Seen{event, hashed(entry.Key), hashed(string(entry.Value)), entry.CreateRevision, entry.ModRevision, entry.Version}
}

// sortedWithinRevisions returns events in their order, but those of one revision in the order of their keys.
func sortedWithinRevisions(events []kv.Event) []kv.Event {
	all := slices.Clone(events)
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].ModRevision == all[i].ModRevision {
			j++
		}
		slices.SortFunc(all[i:j], func(a, b kv.Event) int { return strings.Compare(a.Key, b.Key) })
		i = j
	}
	return all
}

// difference returns a diff of the place where want and got first differ.
func (e *Env) difference(want, got []Seen) string {
	first := 0
	for first < len(want) && first < len(got) && want[first] == got[first] {
		first++
	}
	const around = 4
	// Whole lines are compared. A difference within a line is easier to see in the two lines than cut out of them.
	type line string
	whole := cmp.Comparer(func(a, b line) bool { return a == b })
	part := func(all []Seen) (lines []line) {
		for _, s := range all[min(len(all), max(0, first-1)):min(len(all), first+around)] {
			lines = append(lines, line(strings.ReplaceAll(s.String(), e.Prefix, "")))
		}
		return lines
	}
	return fmt.Sprintf("%d promised, %d seen; from place %d on (-promised +seen):\n%s",
		len(want), len(got), max(0, first-1), cmp.Diff(part(want), part(got), whole))
}

// long is how many bytes a key or a value may have that is shown as a whole.
const long = 400

// Brief shows a key or a value. It shows only the beginning of a long one.
func Brief(text string) string {
	if len(text) <= long {
		return strconv.Quote(text)
	}
	return fmt.Sprintf("%d bytes, %q...", len(text), text[:20])
}

// hashed is Brief, with the hash of a long text. So two texts that differ look different.
func hashed(text string) string {
	if len(text) <= long {
		return Brief(text)
	}
	return fmt.Sprintf("%s, sha256 %x", Brief(text), sha256.Sum256([]byte(text)))
}

// Short shows a key without the prefix that all keys of a check have.
func (e *Env) Short(key string) string { return Brief(strings.TrimPrefix(key, e.Prefix)) }

func (e *Env) ShortRange(r kv.Range) string {
	return strings.ReplaceAll(r.String(), strings.Trim(strconv.Quote(e.Prefix), `"`), "")
}

func (e *Env) describeOps(ops []kv.Op) string {
	var parts []string
	for i, op := range ops {
		if i == 4 {
			parts = append(parts, fmt.Sprintf("%d more", len(ops)-i))
			break
		}
		part := op.Type.String() + " " + e.Short(op.Key)
		if op.Type == kv.EventPut {
			part += " = " + Brief(string(op.Value))
		}
		parts = append(parts, part+Conditions(op.Conditions))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// Conditions shows the conditions of a write.
func Conditions(conditions []kv.Condition) string {
	var parts []string
	for _, c := range conditions {
		if rev, ok := c.ModRevision(); ok && rev == 0 {
			parts = append(parts, "absent")
		} else if ok {
			parts = append(parts, fmt.Sprintf("at revision %d", rev))
		}
	}
	if parts == nil {
		return ""
	}
	return " if " + strings.Join(parts, " and ")
}

func hasPrefix(s, prefix string) bool { return strings.HasPrefix(s, prefix) }

// DescribeBatches shows where the batches of a watch begin and end.
func DescribeBatches(batches []kv.Batch) string {
	var text strings.Builder
	for i, b := range batches {
		if i == 12 {
			fmt.Fprintf(&text, " and %d more", len(batches)-i)
			break
		}
		if b.IsBookmark() {
			fmt.Fprintf(&text, " (bookmark %d)", b.Revision)
			continue
		}
		fmt.Fprintf(&text, " (%d events of %d to %d, revision %d)", len(b.Events),
			b.Events[0].ModRevision, b.Events[len(b.Events)-1].ModRevision, b.Revision)
	}
	return strings.TrimSpace(text.String())
}
