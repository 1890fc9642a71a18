package network

import (
	"cmp"
	"slices"
	"syscall"
	"time"
)

// faults are the present faults of a link.
type faults struct {
	swallow [2]bool // by direction
	refuse  bool
	delay   time.Duration
	jitter  time.Duration
	lines   [2]*line // by direction; nil is without limit
}

// Links are the links between some clients and some addresses. All methods return at once.
type Links struct {
	network *Network
	from    string   // the host of the client; all clients if empty
	to      []string // the addresses; all if there are none
}

// To returns the links of all clients to the given addresses, or to all addresses if none is given.
func (n *Network) To(addresses ...string) Links { return Links{n, "", addresses} }

// Between returns the links of one client's host to the given addresses, or to all addresses if none is given.
func (n *Network) Between(from string, addresses ...string) Links { return Links{n, from, addresses} }

// Swallow loses all packets in both directions, as if the machine or the cable were gone. No connection breaks. Connections stay open and
// silent. Writes to them succeed until the window is full, and then wait. New connections hang until their context ends. After Mend, the
// lost bytes arrive in order.
func (l Links) Swallow() {
	l.alter(func(f *faults) { f.swallow = [2]bool{true, true} })
}

// SwallowRequests loses packets on their way to the addresses. Answers still arrive, but no more than a window of them,
// because the member gets no acknowledgements. New connections hang.
func (l Links) SwallowRequests() { l.alter(func(f *faults) { f.swallow[requests] = true }) }

// SwallowAnswers loses packets on their way from the addresses. Requests still arrive, but no more than a window of
// them. New connections hang.
func (l Links) SwallowAnswers() { l.alter(func(f *faults) { f.swallow[answers] = true }) }

// Forget makes the existing connections silent for ever, as a firewall does that has lost its state. New connections work at once. Mend does
// not mend a forgotten connection.
func (l Links) Forget() {
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	for _, c := range l.conns() {
		c.forgotten = true
		c.pass([2]passage{{blocked: true, unheard: true}, {blocked: true, unheard: true}})
	}
}

// Reset breaks the existing connections. Their reads and writes fail with ECONNRESET. Bytes on their way are lost. New connections work.
func (l Links) Reset() {
	l.network.mu.Lock()
	conns := l.conns()
	l.network.mu.Unlock()
	for _, c := range conns {
		c.abort(syscall.ECONNRESET)
	}
}

// Refuse makes new connections fail with ECONNREFUSED. Existing connections still work.
func (l Links) Refuse() { l.alter(func(f *faults) { f.refuse = true }) }

// Delay makes every byte travel for d longer, in each direction. It adds a random time of at most jitter for each write. Bytes do not
// overtake each other. Delay replaces an earlier Delay.
func (l Links) Delay(d, jitter time.Duration) {
	l.alter(func(f *faults) { f.delay, f.jitter = d, jitter })
}

// Throttle limits the bytes per second in each direction. All connections of the links share the limit. Throttle replaces an earlier
// Throttle. Zero means no limit.
func (l Links) Throttle(bytesPerSecond int) {
	var lines [2]*line
	if bytesPerSecond > 0 {
		lines = [2]*line{newLine(bytesPerSecond), newLine(bytesPerSecond)}
	}
	l.alter(func(f *faults) { f.lines = lines })
}

// Mend ends all faults of these links. If these are the links of all clients, it also ends the faults of single clients. It does not end a
// fault that was set for more addresses than these links have. Held bytes are delivered. Connections that were reset or forgotten stay so.
func (l Links) Mend() {
	n := l.network
	n.mu.Lock()
	defer n.mu.Unlock()
	for k := range n.faults {
		if l.includes(k) {
			delete(n.faults, k)
		}
	}
	n.apply()
}

// alter changes the faults of the links.
func (l Links) alter(change func(*faults)) {
	n := l.network
	n.mu.Lock()
	defer n.mu.Unlock()
	to := l.to
	if len(to) == 0 {
		to = []string{""}
	}
	for _, address := range to {
		k := link{l.from, address}
		if n.faults[k] == nil {
			n.faults[k] = new(faults)
		}
		change(n.faults[k])
	}
	n.apply()
}

// includes reports whether k is among the links.
func (l Links) includes(k link) bool {
	return (l.from == "" || l.from == k.from) && (len(l.to) == 0 || slices.Contains(l.to, k.to))
}

// conns returns the connections over the links, the oldest first. The caller holds Network.mu.
func (l Links) conns() []*connection {
	var conns []*connection
	for c := range l.network.conns {
		if l.includes(c.link) {
			conns = append(conns, c)
		}
	}
	slices.SortFunc(conns, func(a, b *connection) int { return cmp.Compare(a.number, b.number) })
	return conns
}

// apply applies the present faults to all connections. The caller holds mu.
func (n *Network) apply() {
	for _, c := range n.To().conns() {
		if !c.forgotten {
			c.pass(n.passages(c.link))
		}
	}
	n.announce()
}

// faultsOf returns all faults of l. The caller holds mu.
func (n *Network) faultsOf(l link) (all []*faults) {
	for _, k := range []link{l, {"", l.to}, {l.from, ""}, {"", ""}} {
		if f := n.faults[k]; f != nil {
			all = append(all, f)
		}
	}
	return all
}

// passages returns what happens to the bytes of l's connections, by direction. The caller holds mu.
func (n *Network) passages(l link) (both [2]passage) {
	for _, f := range n.faultsOf(l) {
		for d := range both {
			p := &both[d]
			p.blocked = p.blocked || f.swallow[d]
			p.unheard = p.unheard || f.swallow[1-d]
			p.delay += f.delay
			p.jitter += f.jitter
			if p.line == nil {
				p.line = f.lines[d]
			}
		}
	}
	return both
}

// refuses reports whether a fault refuses new connections. The caller holds mu.
func (n *Network) refuses(l link) bool {
	return slices.ContainsFunc(n.faultsOf(l), func(f *faults) bool { return f.refuse })
}
