package etcdtest

// KillBehindItsBack kills the process of a member without the cluster's knowledge. It returns when the cluster has noticed.
func (c *Cluster) KillBehindItsBack(member int) error {
	c.mu.Lock()
	child := c.members[member].server.(*childServer)
	c.mu.Unlock()
	err := child.cmd.Process.Kill()
	<-child.exited
	return err
}

// LastLines returns the part of the logs that is shown.
var LastLines = lastLines

// NewNetwork returns a network for members that listen at the sockets, and a function that closes it.
func NewNetwork(sockets ...string) (*Network, func()) {
	n := newNetwork()
	for _, socket := range sockets {
		n.add(socket)
	}
	return n, n.close
}

// Window is the most bytes that a connection holds in one direction.
const Window = window

// Pid returns the process id of a member.
func (c *Cluster) Pid(member int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members[member].server.(*childServer).cmd.Process.Pid
}
