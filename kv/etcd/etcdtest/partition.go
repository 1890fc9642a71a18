package etcdtest

import (
	"slices"

	"go.etcd.io/etcd/client/pkg/v3/types"
)

// A link is a pair of members, the lower number first.
type link [2]int

func linkOf(a, b int) link { return link{min(a, b), max(a, b)} }

// Partition separates the given members from all other members: until [Cluster.Heal], no raft message passes between the two sides, in
// either direction. Connections within each side, and between members and clients, still work.
// A side with half the members or fewer has no leader after an election timeout. Serializable reads can still return what it
// has stored. If no members are given, nothing is cut.
//
// Partitions add up: Partition(0) and then Partition(1) leave each of the two members alone. Partitions outlast restarts of the
// members, also those by Restore and Replace.
//
// Partition returns at once. Until an election timeout has passed, a partitioned leader and its clients believe that it
// leads. To wait for a new leader on the other side, use [Cluster.WaitLeader]. Even then a client of members on
// both sides may send a write to a member without a leader, where it fails after some seconds. To prevent that, name
// the members of one side in [Cluster.Client].
func (c *Cluster) Partition(members ...int) {
	for _, i := range members {
		_ = c.members[i] // panics if there is no such member, before anything is cut
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range members {
		for b := range c.members {
			if !slices.Contains(members, b) {
				c.cuts[linkOf(a, b)] = true
			}
		}
	}
	c.applyCuts()
	c.announce()
}

// Heal ends all partitions. It returns at once. To wait until all members follow one leader again, use
// [Cluster.WaitLeader].
func (c *Cluster) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.cuts)
	c.applyCuts()
	c.announce()
}

// applyCuts makes every running member cut and mend its links as cuts says, except frozen members. The caller holds mu.
func (c *Cluster) applyCuts() {
	for a, m := range c.members {
		if !m.awake() {
			continue
		}
		var cut, rest []types.ID
		for b, other := range c.members {
			switch {
			case a == b:
			case c.cuts[linkOf(a, b)]:
				cut = append(cut, other.id)
			default:
				rest = append(rest, other.id)
			}
		}
		m.server.setCuts(cut, rest)
	}
}

// reach returns the running members that can reach member i, directly or over other members. It includes i. If i is
// stopped, it returns none. A frozen member counts as stopped. The caller holds mu.
func (c *Cluster) reach(i int) []int {
	if !c.members[i].awake() {
		return nil
	}
	reached := []int{i}
	for n := 0; n < len(reached); n++ {
		for j, m := range c.members {
			if m.awake() && !c.cuts[linkOf(reached[n], j)] && !slices.Contains(reached, j) {
				reached = append(reached, j)
			}
		}
	}
	slices.Sort(reached)
	return reached
}

// hasQuorum reports whether member i is running and reaches enough others to have a leader. The caller holds mu.
func (c *Cluster) hasQuorum(i int) bool { return len(c.reach(i)) > len(c.members)/2 }
