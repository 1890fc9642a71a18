package etcdtest

import (
	"net"
	"net/url"
	"os"
	"sync"
	"time"
)

// A peerPort is the port where other members reach a member that runs in a separate process. While that process runs, the port is
// lent to it. At other times this process accepts connections and closes them.
type peerPort struct {
	listener *net.TCPListener
	refusing sync.WaitGroup
}

func reservePort() (*peerPort, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	p := &peerPort{listener: listener}
	p.takeBack()
	return p, nil
}

func (p *peerPort) url() url.URL { return url.URL{Scheme: "http", Host: p.listener.Addr().String()} }

// file returns a descriptor of the listening socket, for the process that borrows the port.
func (p *peerPort) file() (*os.File, error) { return p.listener.File() }

// lend leaves all later connections to another process.
func (p *peerPort) lend() {
	p.listener.SetDeadline(time.Unix(1, 0))
	p.refusing.Wait()
}

// takeBack closes all later connections, and those that the other process has not accepted yet.
func (p *peerPort) takeBack() {
	unblock(p.listener) // os/exec makes a descriptor that it passes on blocking, and this descriptor is shared
	p.listener.SetDeadline(time.Time{})
	p.refusing.Go(func() {
		for {
			conn, err := p.listener.Accept()
			if err != nil {
				return // lent, or closed
			}
			conn.Close()
		}
	})
}

func (p *peerPort) close() error {
	err := p.listener.Close()
	p.refusing.Wait()
	return err
}
