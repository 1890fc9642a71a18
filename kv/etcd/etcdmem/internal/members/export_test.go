package members

// Due reports whether something is due to happen by itself.
func Due(c *Cluster) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.first().at.IsZero()
}
