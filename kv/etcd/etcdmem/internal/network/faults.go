package network

import (
	"cmp"
	"slices"
	"syscall"
	"time"
)

// faults are what is wrong with a link.
type faults struct {
	swallow [2]bool // by direction
	refuse  bool
	delay   time.Duration
	jitter  time.Duration
	lines   [2]*line // by direction; nil is without limit
}

// Links are what lies between clients and addresses. All methods return at once.
type Links struct {
	network *Network
	from    string   // all clients, if empty
	to      []string // all addresses, if there are none
}

// To returns the links of all clients to the addresses, to all addresses if none is given.
func (n *Network) To(addresses ...string) Links { return Links{n, "", addresses} }

// Between returns the links of one client's host to the addresses, to all addresses if none is given.
func (n *Network) Between(from string, addresses ...string) Links { return Links{n, from, addresses} }

// Swallow loses all packets, in both directions: the machine is gone, or the cable. Nothing is broken off. Connections stay
// open and are silent; writes to them succeed until the window is full, and then wait. New connections hang until their
// context ends. What was held is delivered in order after Mend.
func (l Links) Swallow() {
	l.alter(func(f *faults) { f.swallow = [2]bool{true, true} })
}

// SwallowRequests loses packets on their way to the addresses. The answers still arrive, no more than a window of them: nothing
// tells the member that they do. New connections hang.
func (l Links) SwallowRequests() { l.alter(func(f *faults) { f.swallow[requests] = true }) }

// SwallowAnswers loses packets on their way from the addresses. What clients ask for still arrives, no more than a window
// of it. New connections hang.
func (l Links) SwallowAnswers() { l.alter(func(f *faults) { f.swallow[answers] = true }) }

// Forget makes the connections that exist silent for ever, as a firewall does that has lost its state. New connections work at
// once. Nothing mends a forgotten connection.
func (l Links) Forget() {
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	for _, c := range l.conns() {
		c.forgotten = true
		c.pass([2]passage{{blocked: true, unheard: true}, {blocked: true, unheard: true}})
	}
}

// Reset breaks the connections that exist: reads and writes fail with ECONNRESET. What was under way is lost. New connections
// work.
func (l Links) Reset() {
	l.network.mu.Lock()
	conns := l.conns()
	l.network.mu.Unlock()
	for _, c := range conns {
		c.abort(syscall.ECONNRESET)
	}
}

// Refuse has new connections fail with ECONNREFUSED. Those that exist work on.
func (l Links) Refuse() { l.alter(func(f *faults) { f.refuse = true }) }

// Delay has every byte travel for d longer, in each direction, and each write for as much as jitter longer than that, by chance. Bytes
// do not overtake each other. It takes the place of an earlier Delay.
func (l Links) Delay(d, jitter time.Duration) {
	l.alter(func(f *faults) { f.delay, f.jitter = d, jitter })
}

// Throttle carries at most that many bytes a second in each direction. All connections of the links share the limit. It takes the
// place of an earlier Throttle. A limit of zero is none.
func (l Links) Throttle(bytesPerSecond int) {
	var lines [2]*line
	if bytesPerSecond > 0 {
		lines = [2]*line{newLine(bytesPerSecond), newLine(bytesPerSecond)}
	}
	l.alter(func(f *faults) { f.lines = lines })
}

// Mend ends all faults of these links, also those of single clients if these are the links of all, but not those that were given
// to more addresses than these have. What was held is delivered. Connections that were reset or forgotten stay so.
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

// alter changes what is wrong.
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

// apply has all connections see the present faults. The caller holds mu.
func (n *Network) apply() {
	for _, c := range n.To().conns() {
		if !c.forgotten {
			c.pass(n.passages(c.link))
		}
	}
	n.announce()
}

// faultsOf returns all that is wrong with l. The caller holds mu.
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
