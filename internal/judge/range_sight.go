package judge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// sight is the outcome of one Get of a watcher of a range.
type sight struct {
	mode     Mode
	what     What
	revision kv.Revision
	view     value.View[*int]
	bundle   bundled
	err      error

	resetsBefore, resetsAfter int  // Resets of the Status, before and after the Get
	eras                      int  // the number of eras at the time of the Get
	dropped                   bool // streams had lost events
}

func (s sight) outcome() (What, kv.Revision) { return s.what, s.revision }

// rangeRecord has what one watcher returned, in order.
type rangeRecord struct {
	mode Mode
	seen []sight
	open bool // the watcher was open, and was read until it had returned everything
}

// whatOf returns the kind of outcome of a Get that returned err.
func whatOf(ctx context.Context, err error) What {
	switch {
	case err == nil:
		return Value
	case errors.Is(err, value.ErrDeleted):
		return Deleted
	case errors.As(err, new(*value.DecodeError)):
		return BadValue
	case errors.As(err, new(*value.GapError)):
		return Gap
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return Cancelled
	case errors.Is(err, kv.ErrPermission):
		return Refused
	}
	return Failed
}

// shows reports whether s says that the range holds h.
func (s sight) shows(h held) bool {
	switch {
	case !s.mode.Bundle:
		return s.what == Value && sameEntries(entriesOf(s.view), h.entries)
	case s.what == Nothing, s.what == Deleted:
		return len(h.entries) == 0
	case s.what == BadValue:
		return h.isBad()
	}
	return len(h.entries) > 0 && maps.Equal(s.bundle, textsOf(h.entries))
}

// ends reports whether s says that the range holds what it does at the end of h, and not what it held before. All bad values of a bundle are
// alike, and so are all deletions. The very same entries again are no news to a watcher of the newest, nor to one of every update after a gap.
func (s sight) ends(h *RangeHistory, gap bool) bool {
	end := h.final()
	wasSame := func(e Era) bool { return sameEntries(e.at(s.revision).entries, end.entries) }
	return s.shows(end) && (s.what == Nothing || s.revision >= end.since || (!s.mode.Every || gap) && slices.ContainsFunc(h.Eras, wasSame))
}

// isBad reports whether a bundle of h does not decode.
func (h held) isBad() bool {
	for _, e := range h.entries {
		if isBad(string(e.Value)) {
			return true
		}
	}
	return false
}

func isBad(text string) bool {
	_, err := strconv.Atoi(text)
	return err != nil
}

func (s sight) String() string {
	switch {
	case s.what == Nothing:
		return "nothing"
	case s.err != nil:
		return fmt.Sprintf("the error %q", s.err)
	case s.mode.Bundle:
		return fmt.Sprintf("%v of %d", s.bundle, s.revision)
	}
	return fmt.Sprintf("%v of %d, with the changes %s", textsOf(entriesOf(s.view)), s.revision, changesOf(s.view))
}

// entriesOf returns what a View shows, as entries. The text of a bad value is that of its error.
func entriesOf(v value.View[*int]) map[string]kv.Entry {
	entries := make(map[string]kv.Entry, v.Len())
	for key, item := range v.All() {
		entries[key] = kv.Entry{
			Key: key, Value: []byte(textOf(item)),
			CreateRevision: item.CreateRevision, ModRevision: item.ModRevision, Version: item.Version,
		}
	}
	return entries
}

// textOf is the newest value of an item as it was written.
func textOf(item value.Item[*int]) string {
	var text badValue
	switch {
	case item.Err == nil && item.Value != nil:
		return strconv.Itoa(*item.Value)
	case errors.As(item.Err, &text):
		return string(text)
	}
	return fmt.Sprintf("neither a value nor a bad value: %v", item.Err)
}

func changesOf(v value.View[*int]) string {
	var all []string
	for c := range v.Changes() {
		all = append(all, fmt.Sprintf("%s: %s -> %s", c.Key[strings.LastIndexByte(c.Key, '/')+1:], textOrNone(c.Old), textOrNone(c.New)))
	}
	return strings.Join(all, ", ")
}

func textOrNone(item *value.Item[*int]) string {
	if item == nil {
		return "none"
	}
	return textOf(*item)
}
