package etcdtest

import (
	"context"
	"net/url"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest/internal/wire"
)

// A server is a running member, from its start until it is killed. It runs in this process or in a separate one.
type server interface {
	id() types.ID
	leader() types.ID               // the leader that it follows, or zero
	leaderChanged() <-chan struct{} // closed when leader may have changed since the call
	ready() <-chan struct{}         // closed when the server serves clients
	stopped() <-chan struct{}       // closed when the server has ended
	setCuts(cut, rest []types.ID)   // blocks raft messages to and from the members in cut
	admit()                         // lets other members reach it
	kill()                          // ends the server and waits for its end
	moveLeader(ctx context.Context, from, to types.ID) error
	compact(ctx context.Context, rev int64) error
	catchUp(ctx context.Context) error // waits until the server has applied everything that was committed before the call
}

// electionMs is the time without a heartbeat after which a member stands for election.
const electionMs = 500

// Each member preallocates two segments of this size for its log, and each backup copies them. etcd's default is 64 MB.
func init() { wal.SegmentSizeBytes = 1 << 20 }

// newConfig returns the configuration of a server that runs as the member described.
func newConfig(s wire.Settings, logger *zap.Logger) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = s.Name
	cfg.Dir = s.Dir
	cfg.ListenClientUrls = []url.URL{*s.Listen}
	cfg.AdvertiseClientUrls = []url.URL{advertised(*s.Client)}
	cfg.ListenPeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}} // unused; see peerServer
	cfg.AdvertisePeerUrls = []url.URL{*s.Peer}
	cfg.InitialCluster = s.InitialCluster
	cfg.InitialClusterToken = s.Token
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger)

	cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration // with version 3.6's zero, every request would be logged as slow

	cfg.TickMs = 50
	cfg.ElectionMs = electionMs
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4 // the minimum
	cfg.EnableGRPCGateway = false
	// A compaction reads all revisions from the first on. By default it pauses after each thousand.
	cfg.CompactionBatchLimit = 1 << 20
	return cfg
}

// advertised returns the URL client in a form that every version of etcd's server can advertise, even if it is the URL of a socket. Version
// 3.6 requires a host of the form "host:port". The text of a URL with an opaque part does not contain that host.
func advertised(client url.URL) url.URL {
	if client.Scheme != "unix" {
		return client
	}
	return url.URL{Scheme: client.Scheme, Opaque: "//" + client.Path, Host: "socket:0"}
}

// countWatches makes a server count the watches that it serves.
func countWatches(cfg *embed.Config, count *watchCount) {
	cfg.GRPCAdditionalServerOptions = append(cfg.GRPCAdditionalServerOptions,
		grpc.ChainStreamInterceptor(count.intercept))
}
