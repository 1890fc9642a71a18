package etcdtest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"
)

// proxyScheme is the beginning of a proxy's endpoint.
const proxyScheme = "http://"

// WithProxies puts a proxy before each member. The proxy listens at a port of 127.0.0.1. [Cluster.Endpoints] returns the endpoints of the
// proxies. So [Cluster.Network] carries every client, even one of another program.
// Connections are real TCP connections, and a little slower than without proxies.
//
// A proxy accepts every connection. If the network would refuse the connection, or if the member is stopped, the proxy resets it
// at once. A connection that would hang is silent until the network is mended.
func WithProxies() Option { return func(c *Cluster) { c.proxied = true } }

// A proxy carries the connections of clients that might not use the network by themselves.
type proxy struct {
	listener *net.TCPListener
	network  *Network
	route    *route
	ctx      context.Context // ends with the proxy
	stop     context.CancelFunc
	running  sync.WaitGroup
}

func startProxy(n *Network, r *route) (*proxy, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, network: n, route: r}
	p.ctx, p.stop = context.WithCancel(context.Background())
	r.proxy = listener.Addr().String()
	p.running.Go(p.serve)
	return p, nil
}

func (p *proxy) url() url.URL { return url.URL{Scheme: "http", Host: p.route.proxy} }

func (p *proxy) serve() {
	for {
		client, err := p.listener.AcceptTCP()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.carry(client) })
	}
}

// carry carries a client's connection through the network until one of its ends closes it.
func (p *proxy) carry(client *net.TCPConn) {
	defer client.Close()
	defer context.AfterFunc(p.ctx, func() { client.Close() })()
	client.SetReadBuffer(window) // small, so that the client blocks when the network is full

	member, err := p.network.dial(p.ctx, p.route)
	if err != nil {
		client.SetLinger(0) // so that Close resets it
		return
	}
	defer member.Close()
	defer context.AfterFunc(p.ctx, func() { member.Close() })()

	var sending sync.WaitGroup
	sending.Go(func() {
		io.Copy(member, client)
		member.Close()
	})
	if _, err := io.Copy(client, member); errors.Is(err, syscall.ECONNRESET) {
		client.SetLinger(0)
	}
	client.Close()
	sending.Wait()
}

// close breaks all connections and returns when no goroutine of the proxy runs.
func (p *proxy) close() error {
	err := p.listener.Close()
	p.stop()
	p.running.Wait()
	return err
}
