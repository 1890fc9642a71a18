package upstream

import (
	"errors"

	"github.com/watchkv/watchkv/kv"
)

// IsReturned reports whether a Get returns err, the error of a read. The upstream survives every other error by trying again.
func IsReturned(err error) bool {
	for _, returned := range []error{
		kv.ErrPermission, kv.ErrClosed, kv.ErrInvalidKey, kv.ErrInvalidRange, kv.ErrTooLarge, kv.ErrUnsupported,
	} {
		if errors.Is(err, returned) {
			return true
		}
	}
	return false
}
