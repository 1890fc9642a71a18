package members

// Due reports whether a timer is pending.
func Due(c *Cluster) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.first().at.IsZero()
}
