//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package logkv

import (
	"os"
	"syscall"
)

// tryLock locks file until it is closed. It fails with errLocked if another process or Store holds the lock.
func tryLock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

const errLocked = syscall.EWOULDBLOCK
