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
	// dialing has the endpoints that a goroutine dials now; guarded by mu.
	dialing map[string]struct{}
}

func newReconnector() *reconnector {
	return &reconnector{turn: make(chan struct{}, 1), dialing: make(map[string]struct{})}
}

// reconnect reports whether client has got new connections after silentSince. The caller has had no answer since that time. If the client
// has none yet, reconnect gives it new connections and calls reconnected, but only if an endpoint answers over a new connection.
func (r *reconnector) reconnect(ctx context.Context, client *clientv3.Client, silentSince time.Time, reconnected func()) bool {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return false
	}
	switch {
	case r.reconnectedSince(silentSince):
		return true
	case !r.answersOnNewConnection(ctx, client) || ctx.Err() != nil:
		return false
	}
	r.mu.Lock() // so that a diagnosis that finds the client connecting also finds last
	defer r.mu.Unlock()
	replaceConnections(client)
	r.last = time.Now()
	reconnected()
	return true
}

// reconnectedSince reports whether the client has got new connections after t.
func (r *reconnector) reconnectedSince(t time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.After(t)
}

// answersOnNewConnection reports whether an endpoint of client answers over a new connection.
func (r *reconnector) answersOnNewConnection(ctx context.Context, client *clientv3.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, diagnoseWithin)
	defer cancel()
	endpoints := client.Endpoints()
	answers := make(chan bool, len(endpoints))
	conns := make(chan *grpc.ClientConn, len(endpoints))
	for _, endpoint := range endpoints {
		go func() {
			conn := r.dial(ctx, client, endpoint)
			if conn == nil {
				answers <- false
				return
			}
			conns <- conn
			request := &pb.RangeRequest{Key: []byte{0}, CountOnly: true, Serializable: true}
			_, err := pb.NewKVClient(conn).Range(ctx, request, grpc.WaitForReady(true))
			answers <- err == nil || isRefusal(err)
		}()
	}
	answered := false
	for range endpoints {
		answered = <-answers || answered
	}
	// Not earlier: gRPC has a lock that each Dial takes after it has read the client's endpoints, and each Close too. So what a Dial that still
	// blocks has read was read before the caller sets the endpoints.
	for range len(conns) {
		(<-conns).Close()
	}
	return answered
}

// dial returns a new connection to an endpoint of client, or nil. Dial of a client with grpc.WithBlock returns only when it is connected or the
// client is closed. So dial does not wait for it when ctx has ended, and begins no other Dial of the endpoint until it has returned.
func (r *reconnector) dial(ctx context.Context, client *clientv3.Client, endpoint string) *grpc.ClientConn {
	if !r.beginDial(endpoint) {
		return nil
	}
	dialed := make(chan *grpc.ClientConn)
	go func() {
		conn, _ := client.Dial(endpoint) // nil if it fails
		r.endDial(endpoint)
		select {
		case dialed <- conn:
		case <-ctx.Done():
			if conn != nil {
				conn.Close()
			}
		}
	}()
	select {
	case conn := <-dialed:
		return conn
	case <-ctx.Done():
		return nil
	}
}

// beginDial reports whether nothing dialed endpoint until now.
func (r *reconnector) beginDial(endpoint string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, dialing := r.dialing[endpoint]
	r.dialing[endpoint] = struct{}{}
	return !dialing
}

func (r *reconnector) endDial(endpoint string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.dialing, endpoint)
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
