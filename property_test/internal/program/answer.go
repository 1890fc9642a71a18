package program

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/kv"
)

// relative writes a revision as its distance from the revision at which the program began. The distance is the same on all stores.
// Revision zero stays zero.
func (r *run) relative(revision kv.Revision) string {
	if revision == 0 {
		return "none"
	}
	return fmt.Sprintf("%+d", int64(revision-r.start))
}

// reasons are the common errors of stores, with a word for each.
var reasons = []struct {
	err  error
	word string
}{
	{ErrFuture, "future"},
	{kv.ErrConflict, "conflict"},
	{kv.ErrReset, "reset"},
	{kv.ErrNotFound, "not found"},
	{kv.ErrInvalidKey, "invalid key"},
	{kv.ErrInvalidRange, "invalid range"},
	{kv.ErrTooLarge, "too large"},
	{kv.ErrUnsupported, "unsupported"},
	{kv.ErrPermission, "permission"},
	{kv.ErrUnavailable, "unavailable"},
	{kv.ErrClosed, "closed"},
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "deadline"},
}

// refusal returns the words for the errors that err matches, or "" for nil. There should be one.
func (r *run) refusal(err error) string {
	if err == nil {
		return ""
	}
	var words []string
	for _, reason := range reasons {
		if errors.Is(err, reason.err) {
			words = append(words, reason.word)
		}
	}
	if errors.Is(err, kv.ErrCompacted) {
		words = append(words, "compacted")
	}
	if len(words) == 0 {
		return "unforeseen: " + err.Error()
	}
	return strings.Join(words, ", ")
}

// failure is refusal. For a compaction error it adds the oldest revision.
func (r *run) failure(err error) string {
	words := r.refusal(err)
	var compacted *kv.CompactedError
	if errors.As(err, &compacted) {
		words += " up to " + r.relative(compacted.Oldest)
	}
	return words
}

func (r *run) snapshot(snapshot kv.Snapshot) string {
	lines := []string{"at " + r.relative(snapshot.Revision)}
	for _, entry := range snapshot.Entries {
		lines = append(lines, r.entry(entry))
	}
	if len(snapshot.Entries) == 0 && snapshot.Entries != nil {
		lines = append(lines, "WRONG: the entries are empty, and should be nil")
	}
	return strings.Join(lines, "\n")
}

func (r *run) entry(e kv.Entry) string {
	return fmt.Sprintf("%q = %q (created %s, modified %s, version %d)",
		e.Key, e.Value, r.relative(e.CreateRevision), r.relative(e.ModRevision), e.Version)
}

func (r *run) event(e kv.Event) string {
	if bare := (kv.Entry{Key: e.Key, ModRevision: e.ModRevision}); e.Type == kv.EventDelete && reflect.DeepEqual(e.Entry, bare) {
		return fmt.Sprintf("delete %q (%s)", e.Key, r.relative(e.ModRevision))
	}
	return e.Type.String() + " " + r.entry(e.Entry)
}

var errNoEnd = errors.New("it ended without an error")

// watched is the answer of a watch that has ended.
func (r *run) watched(w *watcher, s events.Segment) string {
	var lines []string
	for _, event := range s.Events() {
		lines = append(lines, r.event(event))
	}
	for _, complaint := range r.complaints(s.Batches) {
		lines = append(lines, "WRONG: "+complaint)
	}
	if w.late {
		lines = append(lines, "WRONG: what was due did not come in time")
	}
	end := s.Err
	if end == nil {
		end = errNoEnd
	}
	lines = append(lines, "end: "+r.failure(end))
	return strings.Join(lines, "\n")
}
