package etcd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync"
	"testing"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// places are servers to which clients fail to connect, or which they cannot use.
type places struct {
	ca, otherCA *authority

	plain, secure, peers string // ports of a member of etcd; the secure one asks for a certificate of ca
	guarded              *etcdtest.Cluster
	leaderless           *etcdtest.Cluster // whose member 0 has no leader
}

func newPlaces(t *testing.T) *places {
	p := &places{ca: newAuthority(t, "the CA of the cluster"), otherCA: newAuthority(t, "another CA")}
	var starting sync.WaitGroup
	defer starting.Wait()
	starting.Go(func() { p.startMember(t) })
	starting.Go(func() {
		p.leaderless = etcdtest.Start(t, 3)
		p.leaderless.Partition(0)
	})
	starting.Go(func() {
		p.guarded = etcdtest.Start(t, 1)
		guard(t, p.guarded.Client())
	})
	return p
}

func (p *places) startMember(t *testing.T) {
	caFile, certFile, keyFile := p.ca.save(t, p.ca.sign(t, nil))
	cluster := etcdtest.Start(t, 1, etcdtest.WithConfig(func(_ int, c *embed.Config) {
		c.ClientTLSInfo = transport.TLSInfo{CertFile: certFile, KeyFile: keyFile, TrustedCAFile: caFile, ClientCertAuth: true}
		c.ListenClientUrls = append(c.ListenClientUrls, // with different hosts, because etcd has one listener for each host
			url.URL{Scheme: "http", Host: "localhost:0"}, url.URL{Scheme: "https", Host: "127.0.0.1:0"})
	}))
	p.peers = cluster.Member(0).Peers[0].Addr().String()
	for _, l := range cluster.Member(0).Clients {
		if l.Addr().Network() != "tcp" {
			continue
		}
		conn, err := tls.Dial("tcp", l.Addr().String(), p.ca.trusting(p.ca.sign(t, nil)))
		if err != nil {
			p.plain = l.Addr().String()
			continue
		}
		conn.Close()
		p.secure = l.Addr().String()
	}
	if p.plain == "" || p.secure == "" {
		t.Error("the test itself: the member lacks a plain port or one with TLS")
	}
}

// guard enables authentication. The users are root, and app, who may do nothing.
func guard(t *testing.T, client *clientv3.Client) {
	ctx := within(t, patience)
	for _, user := range []string{"root", "app"} {
		must(client.UserAdd(ctx, user, "right"))(t)
	}
	must(client.RoleAdd(ctx, "root"))(t)
	must(client.UserGrantRole(ctx, "root", "root"))(t)
	must(client.AuthEnable(ctx))(t)
}

// unusedAddress returns an address where nothing listens.
func unusedAddress(t *testing.T) string {
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	l.Close()
	return l.Addr().String()
}

// hung returns the address of a server whose kernel accepts connections, but which sends nothing.
func hung(t *testing.T) string {
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// secured returns the port of a server with TLS that ends each connection after the handshake. It reads what a client still sends, so that
// the client gets its last message, and not a reset.
func secured(t *testing.T, config *tls.Config) (port string) {
	config.NextProtos = []string{"h2"}
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { l.Close() })
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				tls.Server(conn, config).Handshake()
				conn.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, conn)
			})
		}
	})
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// website returns the URL of a web server.
func website(t *testing.T, start func(*httptest.Server)) string {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(server)
	t.Cleanup(server.Close)
	return server.URL
}

// otherService returns the address of a server of gRPC that is not etcd.
func otherService(t *testing.T) string {
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	server := grpc.NewServer()
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(server.Stop)
	serving.Go(func() { server.Serve(l) })
	return l.Addr().String()
}

// swallowing drops all packets from and to a client.
func swallowing() grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		<-ctx.Done()
		at, _ := net.ResolveTCPAddr("tcp", address)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: at, Err: os.ErrDeadlineExceeded} // as package net has it
	})
}

// asking makes a client use a DNS server that knows no host.
func asking(t *testing.T) grpc.DialOption {
	server := must(net.ListenPacket("udp", "127.0.0.1:0"))(t)
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { server.Close() })
	serving.Go(func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := server.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if n > 3 {
				buffer[2], buffer[3] = 0x84, 0x83 // an authoritative answer: no such name
				server.WriteTo(buffer[:n], from)
			}
		}
	})
	dialer := &net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}}
	return grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", address)
	})
}
