package etcdmem

import (
	"context"
	"fmt"
	"net"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// An AnyCluster is a [Cluster] or one of package etcdtest, which is made of real members. A test that is written for an AnyCluster
// takes either:
//
//	var real = flag.Bool("real", false, "test with real etcd")
//
//	func start(t *testing.T) etcdmem.AnyCluster {
//		if *real {
//			return etcdmem.Any(etcdtest.Start(t, 3, etcdtest.WithProcesses()))
//		}
//		return etcdmem.Any(etcdmem.Start(t, 3))
//	}
//
// The documentation of the methods is that of the two types. They differ in three points: real clusters need real time, and clusters in
// memory only the time of a bubble. Real clusters can be frozen only if each member has a process. And a compaction that is refused has the
// errors of etcd's server on real clusters.
type AnyCluster interface {
	AnyMembers
	Backup(ctx context.Context) (AnyBackup, error)
	Restore(ctx context.Context, b AnyBackup) error
	Network() AnyNetwork
}

// AnyMembers has the methods of an [AnyCluster] that are equal in both types.
type AnyMembers interface {
	Size() int
	Client(members ...int) *clientv3.Client
	ClientConfig(members ...int) clientv3.Config
	Endpoints(members ...int) []string
	Close() error

	Stop(members ...int)
	Restart(ctx context.Context, members ...int) error
	Freeze(members ...int) error
	Thaw(members ...int) error
	Partition(members ...int)
	Heal()

	Leader() (member int, ok bool)
	WaitLeader(ctx context.Context) (int, error)
	MoveLeader(ctx context.Context, to int) error

	Compact(ctx context.Context, rev int64) error
	Replace(ctx context.Context) error

	Watchers(member int) int
	WaitWatchers(ctx context.Context, member, n int) error
}

// An AnyNetwork is the network of an [AnyCluster]: a [Network], or that of package etcdtest.
type AnyNetwork interface {
	Swallow(members ...int)
	SwallowRequests(members ...int)
	SwallowAnswers(members ...int)
	Forget(members ...int)
	Reset(members ...int)
	Refuse(members ...int)
	Delay(d time.Duration, members ...int)
	Throttle(bytesPerSecond int, members ...int)
	Mend(members ...int)
	Dial(ctx context.Context, endpoint string) (net.Conn, error)
}

// An AnyBackup is a backup of an [AnyCluster], which can be restored by that cluster.
type AnyBackup any

// A concrete is what the two types of clusters are, each with its own type of networks and of backups.
type concrete[N AnyNetwork, B any] interface {
	AnyMembers
	Backup(ctx context.Context) (B, error)
	Restore(ctx context.Context, b B) error
	Network() N
}

// Any returns a *[Cluster], or a *Cluster of package etcdtest, as an AnyCluster.
func Any[N AnyNetwork, B any](c concrete[N, B]) AnyCluster { return either[N, B]{c} }

// either is a cluster of one of the two types.
type either[N AnyNetwork, B any] struct{ concrete[N, B] }

func (e either[N, B]) Network() AnyNetwork { return e.concrete.Network() }

func (e either[N, B]) Backup(ctx context.Context) (AnyBackup, error) {
	b, err := e.concrete.Backup(ctx)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (e either[N, B]) Restore(ctx context.Context, b AnyBackup) error {
	own, ok := b.(B)
	if !ok {
		return fmt.Errorf("etcdmem: restore: the backup is a %T, and that of this cluster is a %T", b, own)
	}
	return e.concrete.Restore(ctx, own)
}
