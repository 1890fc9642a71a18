package etcdtest

// KillBehindItsBack ends the process of a member as something else would, and returns when that is known.
func (c *Cluster) KillBehindItsBack(member int) error {
	c.mu.Lock()
	child := c.members[member].server.(*childServer)
	c.mu.Unlock()
	err := child.cmd.Process.Kill()
	<-child.exited
	return err
}

// LastLines is what is shown of logs.
var LastLines = lastLines

// NewNetwork returns a network before members that listen at the sockets, and what closes it.
func NewNetwork(sockets ...string) (*Network, func()) {
	n := newNetwork()
	for _, socket := range sockets {
		n.add(socket)
	}
	return n, n.close
}

// Window bounds what a connection holds in one direction.
const Window = window

// Pid returns which process a member is.
func (c *Cluster) Pid(member int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members[member].server.(*childServer).cmd.Process.Pid
}
