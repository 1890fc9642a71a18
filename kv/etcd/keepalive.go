package etcd

import (
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

const (
	keepAliveTime    = 10 * time.Second
	keepAliveTimeout = 5 * time.Second
	// connectDelay is the longest delay between two attempts to connect, without the jitter of a fifth.
	connectDelay = 5 * time.Second
	// connectWithin is gRPC's default for how long an attempt may take.
	connectWithin = 20 * time.Second
)

// KeepAlive returns config with what a program that watches needs and etcd's client does not have by default:
// DialKeepAliveTime of 10 s and DialKeepAliveTimeout of 5 s, each where config leaves it zero.
//
//	client, err := clientv3.New(etcd.KeepAlive(clientv3.Config{Endpoints: endpoints}))
//
// A connection can die without a reset, because a machine is gone or a firewall has lost its state. Without these settings the
// connection is used until the kernel gives it up, which takes a quarter of an hour. With them the client finds out within 15 s, and
// uses another member. They cannot be set on a client that exists.
//
// It also makes gRPC wait at most about 6 s between two attempts to connect, unless config has other grpc.WithConnectParams in its
// DialOptions. By default gRPC's delays grow to two minutes. A watch of a [Store] shortens them without KeepAlive too, but the program's
// own requests, while it has no watch open, wait for them after a server is back.
//
// By default an etcd server closes a connection whose client sends keep-alives more often than every 5 s. The server's option
// --grpc-keepalive-min-time changes that.
func KeepAlive(config clientv3.Config) clientv3.Config {
	if config.DialKeepAliveTime == 0 {
		config.DialKeepAliveTime = keepAliveTime
	}
	if config.DialKeepAliveTimeout == 0 {
		config.DialKeepAliveTimeout = keepAliveTimeout
	}
	delays := backoff.DefaultConfig
	delays.MaxDelay = connectDelay
	connect := grpc.WithConnectParams(grpc.ConnectParams{Backoff: delays, MinConnectTimeout: connectWithin})
	config.DialOptions = slices.Concat([]grpc.DialOption{connect}, config.DialOptions) // the caller's options come later, and win
	return config
}
