package suite

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/watchkv/watchkv/kv"
)

// Seen is an event or an entry in the form in which it is compared and shown. Long values are replaced by their hash, so a difference of two
// megabytes is one line.
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
	if s.Value == Brief("") && s.CreateRevision == 0 && s.Version == 0 {
		return ""
	}
	return fmt.Sprintf(" = %s, created %d, version %d", s.Value, s.CreateRevision, s.Version)
}

func SeenEntries(entries []kv.Entry) []Seen {
	all := make([]Seen, len(entries))
	for i, entry := range entries {
		all[i] = Seen{"", Brief(entry.Key), Brief(string(entry.Value)), entry.CreateRevision, entry.ModRevision, entry.Version}
	}
	return all
}

// SeenEvents returns events in their order. Within one revision it sorts them, because there any order is right.
func SeenEvents(events []kv.Event) []Seen {
	all := make([]Seen, len(events))
	for i, event := range events {
		all[i] = Seen{event.Type.String(), Brief(event.Key), Brief(string(event.Value)), event.CreateRevision, event.ModRevision, event.Version}
	}
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].ModRevision == all[i].ModRevision {
			j++
		}
		slices.SortFunc(all[i:j], func(a, b Seen) int { return strings.Compare(a.Key, b.Key) })
		i = j
	}
	return all
}

// Difference returns "" if want and got are the same. Otherwise it returns a diff of the place where they first differ.
func (e *Env) Difference(want, got []Seen) string {
	if slices.Equal(want, got) {
		return ""
	}
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

// Brief shows a key or a value. It shows the hash of a long one.
func Brief(text string) string {
	if len(text) <= 400 {
		return strconv.Quote(text)
	}
	return fmt.Sprintf("%d bytes, %q..., sha256 %x", len(text), text[:20], sha256.Sum256([]byte(text)))
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
