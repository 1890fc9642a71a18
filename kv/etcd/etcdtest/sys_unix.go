//go:build unix

package etcdtest

import (
	"net"
	"os"
	"syscall"
)

func stop(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }
func thaw(p *os.Process) error { return p.Signal(syscall.SIGCONT) }

// unblock makes the listener non-blocking, so that Accept can be interrupted.
func unblock(listener *net.TCPListener) {
	if conn, err := listener.SyscallConn(); err == nil {
		conn.Control(func(fd uintptr) { syscall.SetNonblock(int(fd), true) })
	}
}
