package etcdmem

import (
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/server"
)

// An Option changes how a cluster is started.
type Option func(*options)

type options struct {
	seed      uint64
	revision  int64
	heartbeat time.Duration
	server    server.Config
	listen    []string // TCP addresses, by member
}

func (o *options) setDefaults() {
	o.seed, o.revision = 1, 1
	o.heartbeat, o.server.ElectionTimeout = 100*time.Millisecond, time.Second
}

// WithSeed sets the seed of everything that is random in a cluster: which member leads first, when members stand for election,
// and the network's jitter. It also decides the identities of leases that members choose. The default is 1.
func WithSeed(seed uint64) Option { return func(o *options) { o.seed = seed } }

// WithTimes sets the time between two heartbeats, and the time without one after which a member stands for election. The
// defaults are etcd's, 100 ms and 1 s. The minimum time of a lease is one and a half election timeouts, in whole seconds.
func WithTimes(heartbeat, election time.Duration) Option {
	return func(o *options) { o.heartbeat, o.server.ElectionTimeout = heartbeat, election }
}

// WithProgressInterval sets the interval of progress notifications, for watches that request them. The default is etcd's, ten
// minutes. As in etcd, a random time of up to a tenth is added.
func WithProgressInterval(d time.Duration) Option {
	return func(o *options) { o.server.ProgressInterval = d }
}

// WithLimits sets the size in bytes of the largest request, and the number of operations that a transaction may have in
// each of its parts. The defaults are etcd's, 1.5 MiB and 128.
func WithLimits(maxRequestBytes, maxTxnOps int) Option {
	return func(o *options) { o.server.MaxRequestBytes, o.server.MaxTxnOps = maxRequestBytes, maxTxnOps }
}

// WithRevision makes the cluster begin at a revision, with no keys, and with everything before it compacted. It is for tests of
// programs that may work only with small revisions. The default is that of a new cluster: revision 1, and nothing
// compacted.
func WithRevision(revision int64) Option { return func(o *options) { o.revision = revision } }

// WithListen makes the members also serve clients over TCP, the first member at the first address and so on. It is for etcdctl
// and for programs in other languages. Port 0 is any free port. [Cluster.Addresses] and the list of members have the addresses. They stay the same
// as long as the cluster lives. The faults of [Cluster.Network] do not affect these clients. Such a cluster does not work in a
// bubble.
func WithListen(addresses ...string) Option {
	return func(o *options) { o.listen = addresses }
}
