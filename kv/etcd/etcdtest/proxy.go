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

// proxyScheme begins the endpoint of a proxy.
const proxyScheme = "http://"

// WithProxies puts a proxy before each member, which listens at a port of 127.0.0.1. [Cluster.Endpoints] are those of the
// proxies, so that [Cluster.Network] carries every client, in whatever way it was made and in whatever program it runs.
// Connections are real ones of TCP, and cost a little more time than without.
//
// A proxy takes every connection. One that the network would refuse, or that nothing answers as the member is stopped, is
// reset at once; one that would hang is silent until the network is mended.
func WithProxies() Option { return func(c *Cluster) { c.proxied = true } }

// A proxy is where clients connect to a member whose route they might not take by themselves.
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
	client.SetReadBuffer(window) // what the network does not take is to wait at the client

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
