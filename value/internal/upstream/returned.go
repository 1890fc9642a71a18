package upstream

import (
	"errors"

	"github.com/watchkv/watchkv/kv"
)

// isTold reports whether err, of a read, is for the program to know. Everything else is ridden out.
func IsReturned(err error) bool {
	for _, told := range []error{
		kv.ErrPermission, kv.ErrClosed, kv.ErrInvalidKey, kv.ErrInvalidRange, kv.ErrTooLarge, kv.ErrUnsupported,
	} {
		if errors.Is(err, told) {
			return true
		}
	}
	return false
}
