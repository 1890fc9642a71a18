package logkv

import (
	"errors"
	"io/fs"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

// failures makes the errors of this package. An error that the package did not make itself comes from the disk.
var failures = backend.Errors{Store: "examples/logkv", Reason: func(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return kv.ErrPermission
	}
	return kv.ErrUnavailable
}}
