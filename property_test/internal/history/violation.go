package history

import (
	"errors"
	"fmt"
)

// The mistakes that a history can have. The error of [Run.Judge] matches those that it has found, and says where they are.
var (
	// Mistakes of writes.
	ErrLostWrite    = errors.New("lost write: a write was acknowledged and is not in the store's history")
	ErrWrittenTwice = errors.New("written twice: one write is in the store's history at two revisions")
	ErrUnwritten    = errors.New("unwritten: the store's history has a change that no client made")
	ErrCondition    = errors.New("condition ignored: a conditional write happened although its condition did not hold")
	ErrConflict     = errors.New("false conflict: a write was refused although its condition held all the time")

	// Mistakes of answers.
	ErrLinearizable = errors.New("S1 linearizable: a read sees every write acknowledged before it began")
	ErrOneRevision  = errors.New("S2 one revision: all entries of a read are as they were at its revision")
	ErrMetadata     = errors.New("S3 true metadata: create and mod revision and version follow the key's history")

	// Mistakes of watches.
	ErrOrdered   = errors.New("W2 ordered: events come in the order of their revisions")
	ErrUnique    = errors.New("W3 unique: no event comes twice")
	ErrComplete  = errors.New("W4 complete: every event in the range after the given revision comes")
	ErrAtomic    = errors.New("W5 atomic: the events of one revision are in one batch")
	ErrResumable = errors.New("W6 resumable: a watch goes on where the one before it stopped")
	ErrBookmark  = errors.New("W7 true bookmarks: a batch's revision never runs ahead of an event that is still to come")
	ErrAfter     = errors.New("W9 future revisions wait: no event at or below the given revision comes")
	ErrFiltered  = errors.New("W10 filtered: no event outside the range comes")
)

// violation returns an error that matches what, and says where the mistake is.
func violation(what error, format string, args ...any) error {
	return fmt.Errorf("%w\n\t%s", what, fmt.Sprintf(format, args...))
}
