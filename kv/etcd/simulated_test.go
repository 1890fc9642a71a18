package etcd_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

// simulated is a member that answers the reads of real clients, over real connections, in a bubble. It serves no watches: the
// watches of etcd's client cannot be in a bubble, because it has them wait for a channel that is outside.
type simulated struct {
	pb.UnimplementedKVServer

	mu       sync.Mutex
	listener *bufconn.Listener // nil while it is stopped
	server   *grpc.Server
	term     uint64
	revision int64 // before the first change of its only key it is 1
	dials    int   // attempts to connect
	reads    int
	leader   bool // without one it answers no read
}

func newSimulated(t *testing.T) *simulated {
	m := &simulated{term: 2, revision: 1, leader: true}
	t.Cleanup(m.stop)
	m.start()
	return m
}

func (m *simulated) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listener, m.server = bufconn.Listen(64<<10), grpc.NewServer()
	pb.RegisterKVServer(m.server, m)
	go m.server.Serve(m.listener)
}

// stop ends the member as if its process had been killed. What it has stored stays.
func (m *simulated) stop() {
	m.mu.Lock()
	server := m.server
	m.listener, m.server = nil, nil
	m.mu.Unlock()
	if server != nil {
		server.Stop()
	}
}

// empty takes away what a member that is stopped has stored, but not its identity.
func (m *simulated) empty(term uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.term, m.revision = term, 1
}

// put changes the key, as another program does.
func (m *simulated) put() (revision int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision++
	return m.revision
}

// closable is a fake that may be closed, as the client's own watcher is with the client.
type closable struct{ *fake }

func (closable) Close() error { return nil }

// client is a real client of the member, with watches that begin and bring nothing.
func (m *simulated) client(t *testing.T, configure func(clientv3.Config) clientv3.Config) *clientv3.Client {
	return m.clientWith(t, configure, &fake{watch: func(ctx context.Context, _ clientv3.Op) clientv3.WatchChan {
		begun := make(chan clientv3.WatchResponse, 1)
		begun <- headed(m.now(), clientv3.WatchResponse{Created: true})
		context.AfterFunc(ctx, func() { close(begun) })
		return begun
	}})
}

// clientWith is a real client of the member, with the watches of watcher.
func (m *simulated) clientWith(t *testing.T, configure func(clientv3.Config) clientv3.Config, watcher *fake) *clientv3.Client {
	dialer := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		m.mu.Lock()
		m.dials++
		listener := m.listener
		m.mu.Unlock()
		if listener == nil {
			return nil, errors.New("connection refused")
		}
		return listener.DialContext(ctx)
	})
	client := must(clientv3.New(configure(clientv3.Config{
		Endpoints: []string{"http://member:2379"}, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{dialer, grpc.WithIdleTimeout(0)}, // the stream of a real watch keeps the connection
	})))(t)
	t.Cleanup(func() { client.Close() })
	client.Watcher = closable{watcher}
	return client
}

func (m *simulated) dialed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dials
}

// lead says whether the member has a leader.
func (m *simulated) lead(leader bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leader = leader
}

// readsSince returns how many reads came since it was last called.
func (m *simulated) readsSince() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, m.reads = m.reads, 0
	return n
}

func (m *simulated) now() *pb.ResponseHeader {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &pb.ResponseHeader{ClusterId: 1, MemberId: 1, RaftTerm: m.term, Revision: m.revision}
}

// pairAt is the key as the change of a revision left it.
func pairAt(key []byte, revision int64) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{Key: key, CreateRevision: 2, ModRevision: revision, Version: revision - 1}
}

// Range implements pb.KVServer.
func (m *simulated) Range(_ context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	m.mu.Lock()
	m.reads++
	leader := m.leader
	m.mu.Unlock()
	if !leader {
		return nil, rpctypes.ErrGRPCNoLeader
	}
	header := m.now()
	resp := &pb.RangeResponse{Header: header}
	if header.Revision > 1 {
		resp.Count = 1
		if !r.CountOnly {
			resp.Kvs = append(resp.Kvs, pairAt(r.Key, header.Revision))
		}
	}
	return resp, nil
}
