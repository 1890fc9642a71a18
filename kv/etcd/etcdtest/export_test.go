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
