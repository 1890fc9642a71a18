// Package testclient configures the clients of the clusters for tests, real ones and those in memory, in one way.
package testclient

import (
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Config is the configuration of a client that logs nothing and finds a restarted member within a few hundredths of a second.
func Config(endpoints []string) clientv3.Config {
	return clientv3.Config{
		Endpoints: endpoints,
		Logger:    zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff: backoff.Config{
					BaseDelay:  10 * time.Millisecond,
					Multiplier: 1.5,
					Jitter:     0.2,
					MaxDelay:   50 * time.Millisecond,
				},
				MinConnectTimeout: 5 * time.Second,
			}),
		},
	}
}
