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

// A renewer gives a client new connections when the old ones are dead. All Stores of the client share it.
type renewer struct {
	turn chan struct{} // has room for the one who dials or sets the client's endpoints, because clientv3 reads them there without a lock
	mu   sync.Mutex
	last time.Time // when the client last got new connections; guarded by mu
}

func newRenewer() *renewer { return &renewer{turn: make(chan struct{}, 1)} }

// renew reports whether client has other connections than at the time silentSince, since when the caller has had no answer. It makes the
// client connect anew if nobody else has done so since then, and only if an endpoint answers over a new connection.
func (r *renewer) renew(ctx context.Context, client *clientv3.Client, silentSince time.Time) bool {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return false
	}
	switch {
	case r.renewedSince(silentSince):
		return true
	case !answersAnew(ctx, client) || ctx.Err() != nil:
		return false
	}
	r.mu.Lock() // so that nobody finds a client that is connecting and does not learn why
	defer r.mu.Unlock()
	connectAnew(client)
	r.last = time.Now()
	return true
}

// renewedSince reports whether the client has got new connections after t.
func (r *renewer) renewedSince(t time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.After(t)
}

// answersAnew reports whether an endpoint of client answers over a new connection.
func answersAnew(ctx context.Context, client *clientv3.Client) bool {
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

// connectAnew makes client use new connections. Requests under way keep the old ones, so no request is broken. A client that exists makes
// new connections only to addresses that it has not had. So its endpoints are spelled otherwise for a moment. To remove them for a moment
// would do as well, but a request that begins then would fail, and clientv3's Dial would panic.
func connectAnew(client *clientv3.Client) {
	endpoints := client.Endpoints()
	respelled := make([]string, len(endpoints))
	for i, e := range endpoints {
		respelled[i] = respell(e)
	}
	client.SetEndpoints(respelled...)
	if slices.Equal(client.Endpoints(), respelled) { // or the program has just set others
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
		return endpoint // which clients of etcd cannot connect to
	}
	return prefix + net.JoinHostPort(host, "0"+port)
}
