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

// A peerServer is where other members reach a member. It listens for as long as the cluster lives, so that nobody else
// can be given its port, and hands requests to the server that runs as the member; while none does, it breaks
// connections off unanswered.
//
// etcd has a listener of its own for this, which nobody is told of. It would have to be given a port that is
// likely to be free, and does not part with connections: for up to five seconds after a server has closed, a race
// between its read timeouts and net/http keeps their goroutines alive. Unix sockets, as for clients, are no way out:
// etcd takes only the host of a peer's URL for a socket's path, so it would have to be in the working directory.
type peerServer struct {
	listener net.Listener
	http     *http.Server
	done     chan struct{} // closed when http no longer serves

	mu       sync.Mutex
	handler  http.Handler // nil while the member is stopped
	conns    map[net.Conn]bool
	requests sync.WaitGroup // what handler is handling; added to under mu, while handler is set
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
		// A server that stops leaves behind connections to others that it used for this and that.
		IdleTimeout: 5 * time.Second,
		ErrorLog:    log.New(io.Discard, "", 0),
	}
	go func() {
		defer close(p.done)
		p.http.Serve(listener)
	}()
	return p, nil
}

// url is what members are told of each other.
func (p *peerServer) url() url.URL { return url.URL{Scheme: "http", Host: p.listener.Addr().String()} }

// open lets handler answer requests.
func (p *peerServer) open(handler http.Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = handler
}

// shut breaks all connections. No request reaches the handler after that, but it may be busy still; see wait.
func (p *peerServer) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = nil
	for conn := range p.conns {
		conn.Close()
	}
}

// wait returns when the handler that was in use before shut is idle. Raft's streams end only with their server.
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
		panic(http.ErrAbortHandler) // how net/http is told to break the connection
	}
	defer p.requests.Done()
	handler.ServeHTTP(w, r)
}

// observe keeps track of the connections there are.
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
