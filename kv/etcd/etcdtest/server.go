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

// A server is what runs as a member, from when it is started until it is killed: in this process, or in one of its
// own.
type server interface {
	id() types.ID
	leader() types.ID               // whom it follows, zero if it knows of no leader
	leaderChanged() <-chan struct{} // closed when leader may have changed since the call
	ready() <-chan struct{}         // closed when it serves clients
	stopped() <-chan struct{}       // closed when it has ended
	setCuts(cut, rest []types.ID)   // lets no raft message pass to or from those in cut
	admit()                         // lets other members reach it
	kill()                          // ends it and returns when it has ended
	moveLeader(ctx context.Context, from, to types.ID) error
	compact(ctx context.Context, rev int64) error
	catchUp(ctx context.Context) error // returns when it has applied all that was agreed on before
}

// electionMs is how long without a heartbeat a member waits before it stands for election.
const electionMs = 500

// Each member sets this much space aside for its log, twice, and each backup copies it. etcd's default is 64 MB.
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

	cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration // it is zero in version 3.6: every request warns

	cfg.TickMs = 50
	cfg.ElectionMs = electionMs
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4 // the least there is
	cfg.EnableGRPCGateway = false
	return cfg
}

// advertised is the URL of client in the form in which any version of etcd's server advertises it, socket or not. Version
// 3.6 wants every host to be "host:port", so it gets one, which is no part of the text of a URL that has an opaque part.
func advertised(client url.URL) url.URL {
	if client.Scheme != "unix" {
		return client
	}
	return url.URL{Scheme: client.Scheme, Opaque: "//" + client.Path, Host: "socket:0"}
}

// countWatches makes a server count the watches it serves.
func countWatches(cfg *embed.Config, count *watchCount) {
	cfg.GRPCAdditionalServerOptions = append(cfg.GRPCAdditionalServerOptions,
		grpc.ChainStreamInterceptor(count.intercept))
}
