package etcdtest

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// A peerServer is the server through which other members reach a member. It listens until the cluster is closed, so that no other program can
// get its port. It passes requests to the etcd server that runs as the member. While none runs, it closes connections without an answer.
//
// etcd's own listener for peers is not used, and no member knows its address. It would need a port that is likely to be free. It also keeps
// connections too long: for up to five seconds after a server has closed, a race between its read timeouts and net/http keeps their
// goroutines alive. Unix sockets, as for clients, do not work either: etcd takes only the host of a peer's URL as the path of a socket, so the
// socket would have to be in the working directory.
type peerServer struct {
	listener net.Listener
	http     *http.Server
	done     chan struct{} // closed when http has stopped serving

	mu       sync.Mutex
	handler  http.Handler // nil while the member is stopped
	conns    map[net.Conn]bool
	requests sync.WaitGroup // requests in handler; incremented under mu, while handler is set
}

func listenForPeers() (*peerServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &peerServer{
		listener: listener,
		done:     make(chan struct{}),
		conns:    make(map[net.Conn]bool),
	}
	p.http = &http.Server{
		Handler:   p,
		ConnState: p.observe,
		// A server that stops leaves idle connections to other members open.
		IdleTimeout: 5 * time.Second,
		ErrorLog:    log.New(io.Discard, "", 0),
	}
	go func() {
		defer close(p.done)
		p.http.Serve(listener)
	}()
	return p, nil
}

// url returns the URL at which other members reach the member.
func (p *peerServer) url() url.URL { return url.URL{Scheme: "http", Host: p.listener.Addr().String()} }

// open passes requests to handler from now on.
func (p *peerServer) open(handler http.Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = handler
}

// shut breaks all connections. No request reaches the handler after that, but the handler may still be busy; see wait.
func (p *peerServer) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = nil
	for conn := range p.conns {
		conn.Close()
	}
}

// wait waits until the handler from before shut is idle. Raft's streams end only when their server ends.
func (p *peerServer) wait() { p.requests.Wait() }

// close stops listening for good.
func (p *peerServer) close() error {
	err := p.http.Close()
	<-p.done
	return err
}

// ServeHTTP implements http.Handler.
func (p *peerServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	handler := p.handler
	if handler != nil {
		p.requests.Add(1)
	}
	p.mu.Unlock()
	if handler == nil {
		panic(http.ErrAbortHandler) // makes net/http break the connection
	}
	defer p.requests.Done()
	handler.ServeHTTP(w, r)
}

// observe keeps track of the open connections.
func (p *peerServer) observe(conn net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateNew:
		p.conns[conn] = true
	case http.StateClosed, http.StateHijacked:
		delete(p.conns, conn)
	}
}
