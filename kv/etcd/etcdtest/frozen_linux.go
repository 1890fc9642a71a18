package etcdtest

import (
	"os"
	"syscall"
)

// waitFrozen returns when every thread of a child that was sent SIGSTOP has stopped. The signal itself only asks: until
// a thread takes notice it runs on. The kernel reports a child as stopped when its last thread has.
func waitFrozen(p *os.Process) error {
	const idIsPid = 1 // P_PID, which package syscall lacks
	for {
		// It also returns when the child has ended, and leaves that for Process.Wait to collect.
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
