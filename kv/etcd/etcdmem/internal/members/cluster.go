package members

import (
	"math/rand/v2"
	"sync"
	"time"
)

// none is the leader of a member that knows no leader.
const none = -1

// A Cluster simulates members. Make one with [New]. All methods may be called concurrently.
type Cluster struct {
	config  Config
	members []*Member
	running sync.WaitGroup // the goroutines of the cluster

	mu      sync.Mutex
	random  *rand.Rand
	closed  bool
	cuts    map[[2]int]bool // pairs of members that do not reach each other, the lower first
	commit  uint64          // the place in the log of the last committed change
	timer   *time.Timer     // runs when something is due next; nil until something was
	timerAt time.Time
	changed chan struct{} // closed and set to nil when WaitLeader has to look again; nil if no call waits
	dirty   []*Member     // the members whose observers have to be called
	moved   bool          // since the last settle something has changed that may change what is due
}

// New returns a cluster with the members of the configuration. They all run and follow one of them. Their log has only the changes of a new
// cluster.
func New(config Config) *Cluster {
	config.setDefaults()
	n := len(config.Members)
	c := &Cluster{
		config: config,
		random: rand.New(rand.NewPCG(config.Seed, 1)),
		cuts:   make(map[[2]int]bool),
		commit: uint64(2*n + 2), // one for each member, one for the election, one for each member's address, one for the version
	}
	leader := c.random.IntN(n)
	now := time.Now()
	for i := range n {
		m := &Member{cluster: c, index: i, info: config.Members[i], lead: none, changed: make(chan struct{})}
		m.boot(now.Add(-time.Duration(c.random.Int64N(int64(config.Heartbeat)))))
		m.serving = closedChannel()
		m.upSince = now.Add(-time.Minute)
		m.log = log{upto: c.commit, lastTerm: firstTerm}
		m.term = firstTerm
		c.members = append(c.members, m)
	}
	l := c.members[leader]
	l.startLeading(now)
	for _, m := range c.members {
		m.lead = leader
	}
	return c
}

// firstTerm is the term of a new cluster, whose first election is won by the first member that stands for it.
const firstTerm = 2

func closedChannel() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}

// Close stops all members. When it returns, no goroutine or timer of the cluster is left.
func (c *Cluster) Close() {
	for i := range c.members {
		c.Stop(i)
	}
	c.mu.Lock()
	c.closed = true
	c.announce()
	c.unlock()
	c.running.Wait()
}

// Size returns the number of members.
func (c *Cluster) Size() int { return len(c.members) }

// Member returns a member. The members are numbered from 0.
func (c *Cluster) Member(i int) *Member { return c.members[i] }

// quorum is how many members are a majority.
func (c *Cluster) quorum() int { return len(c.members)/2 + 1 }

// announce makes the calls that wait for a leader look again. The caller holds mu.
func (c *Cluster) announce() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// settle computes what is due after a change. The caller holds mu.
func (c *Cluster) settle() {
	if !c.moved {
		return
	}
	c.moved = false
	for _, m := range c.members {
		if m.awake() {
			m.review()
		}
	}
	c.schedule()
	c.announce()
}

// unlock settles what is due and releases mu. Before it returns, it calls the observers of all members whose status has changed, one after
// the other, without holding mu.
func (c *Cluster) unlock() {
	c.settle()
	for {
		m := c.nextToCall()
		if m == nil {
			break
		}
		f := m.observer
		m.calling = true
		c.mu.Unlock()
		if f != nil {
			f()
		}
		c.mu.Lock()
		m.calling = false
	}
	c.mu.Unlock()
}

// nextToCall returns a member whose observer has to be called, and is not being called by another goroutine. The caller holds mu.
func (c *Cluster) nextToCall() *Member {
	for i, m := range c.dirty {
		if !m.calling {
			c.dirty = append(c.dirty[:i], c.dirty[i+1:]...)
			m.dirty = false
			return m
		}
	}
	return nil // if an observer is being called, the goroutine that calls it calls it again
}
