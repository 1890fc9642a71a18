//go:build !linux

package etcdtest

import "os"

// waitFrozen does nothing where package syscall has no way to wait for a child to stop without also collecting its end.
func waitFrozen(*os.Process) error { return nil }
