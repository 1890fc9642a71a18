package etcdtest

import (
	"os"
	"syscall"
)

// waitFrozen waits until every thread of a child that was sent SIGSTOP has stopped. A thread still runs for a moment after the signal. The
// kernel reports the child as stopped when its last thread has stopped.
func waitFrozen(p *os.Process) error {
	const idIsPid = 1 // P_PID, which package syscall lacks
	for {
		// The call also returns when the child has ended. It leaves the end for Process.Wait to collect.
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, idIsPid, uintptr(p.Pid), 0,
			syscall.WSTOPPED|syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		switch errno {
		case 0:
			return nil
		case syscall.EINTR:
		case syscall.ECHILD:
			return os.ErrProcessDone
		default:
			return os.NewSyscallError("waitid", errno)
		}
	}
}
