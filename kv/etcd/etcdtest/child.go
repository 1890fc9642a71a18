package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/storage/mvcc"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest/internal/wire"
)

// WithProcesses runs each member in a separate process. Then Stop really kills the process, [Cluster.Freeze] can stop a member's
// clock, and only what a member has written to its files survives. The processes run this program again. So a test's
// TestMain, or a program's main, must begin with [RunMember].
//
// It cannot be combined with [WithConfig], and [Cluster.Member] returns nil.
func WithProcesses() Option { return func(c *Cluster) { c.processes = true } }

var errNoRunMember = errors.New("WithProcesses needs RunMember to be called first in TestMain or main")

// childServer is a server in a separate process. One goroutine owns the process: it starts the process, follows the status of
// the server, and returns when the process has ended.
type childServer struct {
	cmd     *exec.Cmd
	control *rpc.Client // talks to a childControl
	member  types.ID
	watches *watchCount
	serving chan struct{} // closed when the server serves clients
	exited  chan struct{} // closed when the process has ended
	killed  atomic.Bool   // Stop or Close has ended the process

	mu      sync.Mutex
	last    wire.Status
	changed chan struct{} // closed and replaced when last changes
}

// startChild starts a process for member i. Other members can reach it after a call of admit.
func (c *Cluster) startChild(i int) (*childServer, error) {
	m := c.members[i]
	s := &childServer{
		watches: &m.watches,
		serving: make(chan struct{}),
		exited:  make(chan struct{}),
		changed: make(chan struct{}),
	}
	port := m.peers.(*peerPort)
	started := make(chan error)
	go func() {
		defer close(s.exited)
		// The kernel kills a child when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()

		port.lend()
		defer port.takeBack()
		err := s.start(c.settings(i), port, c.logs)
		started <- err
		if err == nil {
			s.follow()
		}
		if err := s.end(); !s.killed.Load() {
			c.died(fmt.Errorf("member %d has ended by itself: %w", i, err))
		}
	}()
	if err := <-started; err != nil {
		s.killed.Store(true)
		<-s.exited
		return nil, err
	}
	return s, nil
}

// start starts the process and, in it, the server.
func (s *childServer) start(settings wire.Settings, port *peerPort, logs io.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	listener, err := port.file()
	if err != nil {
		return err
	}
	defer listener.Close()

	s.cmd = exec.Command(program, "etcd member "+settings.Name)
	s.cmd.Env = append(os.Environ(), childVariable+"="+settings.Name)
	s.cmd.Stderr = logs
	s.cmd.ExtraFiles = []*os.File{listener}
	s.cmd.SysProcAttr = endWithParent()
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.control = rpc.NewClient(pipes{ReadCloser: out, WriteCloser: in})
	return s.control.Call("Control.Start", settings, &s.member)
}

// follow keeps the status of the server current until the process ends.
func (s *childServer) follow() {
	for {
		s.mu.Lock()
		last := s.last
		s.mu.Unlock()
		var status wire.Status
		if err := s.control.Call("Control.Next", last, &status); err != nil {
			s.observe(wire.Status{})
			return
		}
		s.observe(status)
	}
}

func (s *childServer) observe(status wire.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches.add(status.Watches - s.last.Watches)
	if status.Ready && !s.last.Ready {
		close(s.serving)
	}
	s.last = status
	close(s.changed)
	s.changed = make(chan struct{})
}

// end kills the process if it still runs, and frees its resources.
func (s *childServer) end() error {
	if s.cmd == nil || s.cmd.Process == nil {
		return nil
	}
	if s.control != nil {
		s.control.Close() // the process also ends when its input ends
	}
	s.cmd.Process.Kill()
	return s.cmd.Wait()
}

func (s *childServer) id() types.ID             { return s.member }
func (s *childServer) ready() <-chan struct{}   { return s.serving }
func (s *childServer) stopped() <-chan struct{} { return s.exited }

func (s *childServer) leader() types.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Leader
}

func (s *childServer) leaderChanged() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// setCuts and admit ignore errors: follow notices the end of the process.

func (s *childServer) setCuts(cut, rest []types.ID) {
	s.control.Call("Control.SetCuts", wire.Cuts{Cut: cut, Rest: rest}, new(wire.Nothing))
}

func (s *childServer) admit() { s.control.Call("Control.Admit", wire.Nothing{}, new(wire.Nothing)) }

func (s *childServer) kill() {
	s.killed.Store(true)
	s.cmd.Process.Kill()
	<-s.exited
}

func (s *childServer) moveLeader(ctx context.Context, from, to types.ID) error {
	return s.call(ctx, "Control.MoveLeader", wire.Move{Until: until(ctx), From: from, To: to})
}

func (s *childServer) compact(ctx context.Context, rev int64) error {
	err := s.call(ctx, "Control.Compact", wire.Compaction{Until: until(ctx), Revision: rev})
	for _, known := range []error{mvcc.ErrCompacted, mvcc.ErrFutureRev} {
		if err != nil && err.Error() == known.Error() {
			return known
		}
	}
	return err
}

func (s *childServer) catchUp(ctx context.Context) error {
	return s.call(ctx, "Control.CatchUp", until(ctx))
}

// call makes a call that ends with ctx. An answer that comes later is dropped.
func (s *childServer) call(ctx context.Context, method string, args any) error {
	call := s.control.Go(method, args, new(wire.Nothing), make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		if deadline, ok := ctx.Deadline(); ok && call.Error != nil && !time.Now().Before(deadline) {
			<-ctx.Done() // the clock of the other process reached the deadline first
			return ctx.Err()
		}
		return call.Error
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until returns the time when ctx ends. With it the other process can end its part of the call, too.
func until(ctx context.Context) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Now().Add(time.Minute)
	}
	return deadline
}

// died keeps err. Close returns it.
func (c *Cluster) died(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaths = append(c.deaths, err)
}

// pipes is a connection made of two pipes.
type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipes) Close() error { return errors.Join(p.WriteCloser.Close(), p.ReadCloser.Close()) }
