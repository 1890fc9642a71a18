//go:build !linux

package etcdtest

import "os"

// waitFrozen does nothing: on these systems package syscall cannot wait for a child to stop without also collecting its end.
func waitFrozen(*os.Process) error { return nil }
