package memory

import (
	"errors"

	"github.com/watchkv/watchkv/kv"
)

// ErrFutureRevision is the reason when [Store.Compact] refuses a revision that the store has not reached.
var ErrFutureRevision = errors.New("the revision is in the future")

// fail returns the error of an operation on this store.
func fail(op string, reason error) error {
	return &kv.OpError{Store: "kv/memory", Op: op, Reason: reason}
}
