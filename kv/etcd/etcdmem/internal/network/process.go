package network

// Freeze stops the process at each address where it is, as SIGSTOP does. Its kernel still works: existing connections stay, new ones are
// made, and bytes arrive until the window is full. The process does not read, write or accept.
func (n *Network) Freeze(addresses ...string) { n.freeze(true, addresses) }

// Thaw makes frozen processes continue.
func (n *Network) Thaw(addresses ...string) { n.freeze(false, addresses) }

func (n *Network) freeze(frozen bool, addresses []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range addresses {
		h := n.hosts[a]
		if h == nil || h.listener == nil || h.frozen == frozen {
			continue
		}
		h.frozen = frozen
		h.listener.freeze(frozen)
		for _, c := range n.To(a).conns() {
			c.freeze(frozen)
		}
	}
}

// Kill ends the process at each address, as SIGKILL does: its kernel closes its listener and its ends of connections. The
// bytes that the process has written are delivered. Frozen processes are killed as well.
func (n *Network) Kill(addresses ...string) {
	for _, a := range addresses {
		n.mu.Lock()
		var l *listener
		if h := n.hosts[a]; h != nil {
			l = h.listener
		}
		conns := n.To(a).conns()
		n.mu.Unlock()
		if l != nil {
			l.Close()
		}
		for _, c := range conns {
			c.freeze(false)
			c.member.Close()
		}
	}
}
