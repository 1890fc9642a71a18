package etcdtest

import "syscall"

// endWithParent makes the kernel kill a process when its parent has ended, even if the parent was killed. Without this, a child ends
// when its input ends, and a frozen child does not notice that.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
