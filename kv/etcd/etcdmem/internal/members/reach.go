package members

import "slices"

// Cut stops all messages between two members, in both directions.
func (c *Cluster) Cut(a, b int) { c.setCut(a, b, true) }

// Mend ends a cut.
func (c *Cluster) Mend(a, b int) { c.setCut(a, b, false) }

func (c *Cluster) setCut(a, b int, cut bool) {
	c.mu.Lock()
	defer c.unlock()
	_, _ = c.members[a], c.members[b] // panics if there is no such member
	if pair := [2]int{min(a, b), max(a, b)}; cut && a != b {
		c.cuts[pair] = true
	} else {
		delete(c.cuts, pair)
	}
	c.moved = true
}

// linked reports whether messages pass between two members. The caller holds mu.
func (c *Cluster) linked(a, b *Member) bool {
	return !c.cuts[[2]int{min(a.index, b.index), max(a.index, b.index)}]
}

// reached returns the other members that m can exchange messages with now. m is awake. The caller holds mu.
func (c *Cluster) reached(m *Member) []*Member {
	reached := make([]*Member, 0, len(c.members))
	for _, other := range c.members {
		if other != m && other.awake() && c.linked(m, other) {
			reached = append(reached, other)
		}
	}
	return reached
}

// reach returns the members that are awake and that member i reaches, directly or over other members. It includes i. It returns none if i is
// not awake.
// The caller holds mu.
func (c *Cluster) reach(i int) []int {
	if !c.members[i].awake() {
		return nil
	}
	reach := []int{i}
	for n := 0; n < len(reach); n++ {
		for _, other := range c.reached(c.members[reach[n]]) {
			if !slices.Contains(reach, other.index) {
				reach = append(reach, other.index)
			}
		}
	}
	slices.Sort(reach)
	return reach
}

// HasQuorum reports whether member i is awake and reaches enough others to have a leader.
func (c *Cluster) HasQuorum(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.reach(i)) >= c.quorum()
}

// Reach returns the members that are awake and that member i reaches, directly or over other members. It includes i. It returns none if i is
// not awake.
func (c *Cluster) Reach(i int) []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reach(i)
}

// Reaches implements server.Member.
func (m *Member) Reaches(id uint64) bool {
	c := m.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if !m.awake() {
		return false
	}
	for _, other := range c.reached(m) {
		if other.info.ID == id {
			return true
		}
	}
	return false
}
