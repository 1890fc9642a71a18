//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package logkv

import (
	"errors"
	"os"

	"github.com/watchkv/watchkv/kv"
)

func tryLock(*os.File) error { return kv.ErrUnsupported }

var errLocked = errors.New("locked")
