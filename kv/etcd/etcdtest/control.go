package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/rpc"
	"os"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/etcdhttp"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest/internal/wire"
)

// childVariable is the environment variable that makes RunMember run a member.
const childVariable = "WATCHKV_ETCDTEST_MEMBER"

// runMemberCalled is set when this program is known to call RunMember.
var runMemberCalled atomic.Bool

// RunMember is where the processes of a cluster [WithProcesses] begin. Call it first in TestMain, or in main:
//
//	func TestMain(m *testing.M) {
//		etcdtest.RunMember()
//		os.Exit(m.Run())
//	}
//
// In a process that was started as a member, it runs the member and does not return. In any other process it returns at once.
func RunMember() {
	runMemberCalled.Store(true)
	if _, ok := os.LookupEnv(childVariable); !ok {
		return
	}
	conn := pipes{ReadCloser: os.Stdin, WriteCloser: os.Stdout}
	os.Stdout = os.Stderr // only the RPC connection may write to the real standard output
	server := rpc.NewServer()
	if err := server.RegisterName("Control", new(childControl)); err != nil {
		fmt.Fprintln(os.Stderr, "etcdtest:", err)
		os.Exit(1)
	}
	server.ServeConn(conn) // until the parent process ends or closes the connection
	os.Exit(0)
}

// childControl has the methods that the parent process can call in the process of a member. They have the form that net/rpc requires.
type childControl struct {
	etcd    *embed.Etcd
	peers   net.Listener
	watches watchCount
}

// Start starts the server. It must return before any other method is called.
func (c *childControl) Start(s wire.Settings, id *types.ID) error {
	var err error
	if c.peers, err = net.FileListener(os.NewFile(3, "peers")); err != nil { // the first of ExtraFiles
		return err
	}
	cfg := newConfig(s, newLogger(os.Stderr, s.Name))
	countWatches(cfg, &c.watches)
	if c.etcd, err = embed.StartEtcd(cfg); err != nil {
		return err
	}
	*id = c.etcd.Server.MemberID()
	return nil
}

// Admit lets other members reach the server.
func (c *childControl) Admit(wire.Nothing, *wire.Nothing) error {
	go http.Serve(c.peers, etcdhttp.NewPeerHandler(c.etcd.GetLogger(), c.etcd.Server)) // until the process ends
	return nil
}

// Next waits until the status differs from last, and returns it.
func (c *childControl) Next(last wire.Status, status *wire.Status) error {
	for {
		leaderChanged, watchesChanged := c.etcd.Server.LeaderChangedNotify(), c.watches.next()
		ready := c.etcd.Server.ReadyNotify()
		*status = wire.Status{Leader: c.etcd.Server.Leader(), Watches: c.watches.now()}
		select {
		case <-ready:
			status.Ready, ready = true, nil
		default:
		}
		if *status != last {
			return nil
		}
		select {
		case <-leaderChanged:
		case <-watchesChanged:
		case <-ready:
		case <-c.etcd.Server.StopNotify():
			return errors.New("the server has stopped")
		}
	}
}

// SetCuts is [server.setCuts].
func (c *childControl) SetCuts(cuts wire.Cuts, _ *wire.Nothing) error {
	setCuts(c.etcd, cuts.Cut, cuts.Rest)
	return nil
}

// MoveLeader is [server.moveLeader].
func (c *childControl) MoveLeader(move wire.Move, _ *wire.Nothing) error {
	ctx, cancel := context.WithDeadline(context.Background(), move.Until)
	defer cancel()
	return c.etcd.Server.MoveLeader(ctx, uint64(move.From), uint64(move.To))
}

// Compact is [server.compact].
func (c *childControl) Compact(compaction wire.Compaction, _ *wire.Nothing) error {
	ctx, cancel := context.WithDeadline(context.Background(), compaction.Until)
	defer cancel()
	return compact(ctx, c.etcd, compaction.Revision)
}

// CatchUp is [server.catchUp].
func (c *childControl) CatchUp(until time.Time, _ *wire.Nothing) error {
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	return c.etcd.Server.LinearizableReadNotify(ctx)
}
