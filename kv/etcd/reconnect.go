package etcd

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// reconnector gives a client new connections when the old ones are dead. All Stores of the client share it.
type reconnector struct {
	turn chan struct{} // holds a token while a goroutine dials or sets the client's endpoints: clientv3's Dial reads them without a lock
	mu   sync.Mutex
	last time.Time // when the client last got new connections; guarded by mu
}

func newReconnector() *reconnector { return &reconnector{turn: make(chan struct{}, 1)} }

// reconnect reports whether client has got new connections after silentSince. The caller has had no answer since that time. If the client
// has none yet, reconnect gives it new connections, but only if an endpoint answers over a new connection.
func (r *reconnector) reconnect(ctx context.Context, client *clientv3.Client, silentSince time.Time) bool {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return false
	}
	switch {
	case r.reconnectedSince(silentSince):
		return true
	case !answersOnNewConnection(ctx, client) || ctx.Err() != nil:
		return false
	}
	r.mu.Lock() // so that a diagnosis that finds the client connecting also finds last
	defer r.mu.Unlock()
	replaceConnections(client)
	r.last = time.Now()
	return true
}

// reconnectedSince reports whether the client has got new connections after t.
func (r *reconnector) reconnectedSince(t time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.After(t)
}

// answersOnNewConnection reports whether an endpoint of client answers over a new connection.
func answersOnNewConnection(ctx context.Context, client *clientv3.Client) bool {
	endpoints := client.Endpoints()
	answers := make(chan bool, len(endpoints))
	for _, endpoint := range endpoints {
		go func() {
			conn, err := client.Dial(endpoint)
			if err != nil {
				answers <- false
				return
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(ctx, diagnoseWithin)
			defer cancel()
			request := &pb.RangeRequest{Key: []byte{0}, CountOnly: true, Serializable: true}
			_, err = pb.NewKVClient(conn).Range(ctx, request, grpc.WaitForReady(true))
			answers <- err == nil || isRefusal(err)
		}()
	}
	answered := false
	for range endpoints {
		answered = <-answers || answered
	}
	return answered
}

// replaceConnections makes client use new connections. Requests under way keep the old ones, so no request is broken. A running client makes
// new connections only to addresses that it does not have. So replaceConnections spells its endpoints in another way for a moment. It does
// not remove the endpoints for a moment, because a request that began then would fail, and clientv3's Dial would panic.
func replaceConnections(client *clientv3.Client) {
	endpoints := client.Endpoints()
	respelled := make([]string, len(endpoints))
	for i, e := range endpoints {
		respelled[i] = respell(e)
	}
	client.SetEndpoints(respelled...)
	if slices.Equal(client.Endpoints(), respelled) { // otherwise the program has just set others
		client.SetEndpoints(endpoints...)
	}
}

// respell returns an endpoint with another spelling of the same address: a port with a leading zero, or a path with a dot.
func respell(endpoint string) string {
	scheme, address, ok := strings.Cut(endpoint, "://")
	if !ok && strings.HasPrefix(endpoint, "unix") {
		scheme, address, ok = strings.Cut(endpoint, ":")
	}
	prefix := strings.TrimSuffix(endpoint, address)
	switch {
	case !ok:
		prefix, address = "", endpoint
	case strings.HasPrefix(scheme, "unix") && strings.HasPrefix(address, "/"):
		return prefix + "/." + address
	case strings.HasPrefix(scheme, "unix"):
		return prefix + "./" + address
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return endpoint // clients of etcd cannot connect to it
	}
	return prefix + net.JoinHostPort(host, "0"+port)
}
