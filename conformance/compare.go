package conformance

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/watchkv/watchkv/kv"
)

// seen is an event or an entry as it is compared and shown: long values by their hash, so that a difference
// between two megabytes is one line.
type seen struct {
	Event                       string
	Key                         string
	Value                       string
	CreateRevision, ModRevision kv.Revision
	Version                     int64
}

func (s seen) String() string {
	switch s.Event {
	case kv.EventDelete.String():
		return fmt.Sprintf("revision %d: delete %s%s", s.ModRevision, s.Key, s.unexpected())
	case "":
		return fmt.Sprintf("%s = %s, created %d, modified %d, version %d", s.Key, s.Value, s.CreateRevision, s.ModRevision, s.Version)
	}
	return fmt.Sprintf("revision %d: %s %s = %s, created %d, version %d", s.ModRevision, s.Event, s.Key, s.Value, s.CreateRevision, s.Version)
}

// unexpected is what a deletion carries that it should not.
func (s seen) unexpected() string {
	if s.Value == brief("") && s.CreateRevision == 0 && s.Version == 0 {
		return ""
	}
	return fmt.Sprintf(" = %s, created %d, version %d", s.Value, s.CreateRevision, s.Version)
}

func seenEntries(entries []kv.Entry) []seen {
	all := make([]seen, len(entries))
	for i, entry := range entries {
		all[i] = seen{"", brief(entry.Key), brief(string(entry.Value)), entry.CreateRevision, entry.ModRevision, entry.Version}
	}
	return all
}

// seenEvents shows events in their order, except within a revision, where any order will do.
func seenEvents(events []kv.Event) []seen {
	all := make([]seen, len(events))
	for i, event := range events {
		all[i] = seen{event.Type.String(), brief(event.Key), brief(string(event.Value)), event.CreateRevision, event.ModRevision, event.Version}
	}
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].ModRevision == all[i].ModRevision {
			j++
		}
		slices.SortFunc(all[i:j], func(a, b seen) int { return strings.Compare(a.Key, b.Key) })
		i = j
	}
	return all
}

// difference returns "" if want and got are the same, and else a diff of the place where they first differ.
func (e *env) difference(want, got []seen) string {
	if slices.Equal(want, got) {
		return ""
	}
	first := 0
	for first < len(want) && first < len(got) && want[first] == got[first] {
		first++
	}
	const around = 4
	// Lines are compared whole: what differs within one is easier to see in both than cut out of them.
	type line string
	whole := cmp.Comparer(func(a, b line) bool { return a == b })
	part := func(all []seen) (lines []line) {
		for _, s := range all[min(len(all), max(0, first-1)):min(len(all), first+around)] {
			lines = append(lines, line(strings.ReplaceAll(s.String(), e.prefix, "")))
		}
		return lines
	}
	return fmt.Sprintf("%d promised, %d seen; from place %d on (-promised +seen):\n%s",
		len(want), len(got), max(0, first-1), cmp.Diff(part(want), part(got), whole))
}

// brief shows a key or value, by its hash if it is long.
func brief(text string) string {
	if len(text) <= 400 {
		return strconv.Quote(text)
	}
	return fmt.Sprintf("%d bytes, %q..., sha256 %x", len(text), text[:20], sha256.Sum256([]byte(text)))
}

// short shows a key without the prefix that all keys of a check have.
func (e *env) short(key string) string { return brief(strings.TrimPrefix(key, e.prefix)) }

func (e *env) shortRange(r kv.Range) string {
	return strings.ReplaceAll(r.String(), strings.Trim(strconv.Quote(e.prefix), `"`), "")
}

func (e *env) describeOps(ops []kv.Op) string {
	var parts []string
	for i, op := range ops {
		if i == 4 {
			parts = append(parts, fmt.Sprintf("%d more", len(ops)-i))
			break
		}
		part := op.Type.String() + " " + e.short(op.Key)
		if op.Type == kv.EventPut {
			part += " = " + brief(string(op.Value))
		}
		parts = append(parts, part+describe(op.Conditions))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func describe(conditions []kv.Condition) string {
	var text strings.Builder
	for _, c := range conditions {
		if rev, ok := c.ModRevision(); ok {
			fmt.Fprintf(&text, " if at revision %d", rev)
		}
	}
	return text.String()
}

func hasPrefix(s, prefix string) bool { return strings.HasPrefix(s, prefix) }

// describeBatches shows where the batches of a watch begin and end.
func describeBatches(batches []kv.Batch) string {
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
