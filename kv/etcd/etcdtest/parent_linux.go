package etcdtest

import "syscall"

// endWithParent makes the kernel kill a process when the one that started it ends, however it ends. Without this a
// child ends when its input does, which a frozen one does not notice.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
