package etcdmem

import (
	"fmt"
	"net"
)

// listenTCP finds the addresses that were asked for, and listens at each until the member there begins to.
func (c *Cluster) listenTCP() error {
	if len(c.options.listen) > c.size {
		return fmt.Errorf("there are %d addresses for %d members", len(c.options.listen), c.size)
	}
	c.tcp = make([]net.Listener, c.size)
	c.addresses = make([]string, c.size)
	for i, address := range c.options.listen {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		c.tcp[i], c.addresses[i] = l, l.Addr().String()
	}
	return nil
}

// tcpListener returns a listener at a member's TCP address, or nil if it has none. The caller holds turn.
func (c *Cluster) tcpListener(i int) (net.Listener, error) {
	if l := c.tcp[i]; l != nil {
		c.tcp[i] = nil
		return l, nil
	}
	if c.addresses[i] == "" {
		return nil, nil
	}
	return net.Listen("tcp", c.addresses[i])
}

// closeTCP closes what no member has begun to serve.
func (c *Cluster) closeTCP() {
	for _, l := range c.tcp {
		if l != nil {
			l.Close()
		}
	}
}

// Addresses returns the TCP addresses of the members, of those that have one: see [WithListen].
func (c *Cluster) Addresses() []string {
	var addresses []string
	for _, address := range c.addresses {
		if address != "" {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// clientURL is where a member tells clients that it serves them.
func (c *Cluster) clientURL(i int) string {
	if c.addresses[i] != "" {
		return "http://" + c.addresses[i]
	}
	return "http://" + address(i)
}
