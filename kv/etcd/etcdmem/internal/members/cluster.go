package members

import (
	"math/rand/v2"
	"sync"
	"time"
)

// none is what a member follows that knows of no leader.
const none = -1

// A Cluster simulates members. Make one with [New]. All methods may be called concurrently.
type Cluster struct {
	config  Config
	members []*Member
	running sync.WaitGroup // goroutines

	mu      sync.Mutex
	random  *rand.Rand
	closed  bool
	cuts    map[[2]int]bool // pairs of members that do not reach each other, the lower first
	commit  uint64          // the place of the last change that is committed
	timer   *time.Timer     // for the next thing that is due; nil if nothing is
	timerAt time.Time
	changed chan struct{} // closed and forgotten when it is worth looking for a leader again; nil if nobody does
	dirty   []*Member     // whose status has changed since their observers were told
	moved   bool          // something has changed since settle that may change what is due
}

// New returns a cluster of as many members as the configuration has. They all run and follow one of them, and have nothing in their
// log but what a new cluster has.
func New(config Config) *Cluster {
	config.setDefaults()
	n := len(config.Members)
	c := &Cluster{
		config: config,
		random: rand.New(rand.NewPCG(config.Seed, 1)),
		cuts:   make(map[[2]int]bool),
		commit: uint64(2*n + 2), // to add each member, to elect, to have each say where it serves, and to agree on a version
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

// firstTerm is the term of a new cluster: the first member that stands for election wins it.
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

// announce has those who wait for a leader look again. The caller holds mu.
func (c *Cluster) announce() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// settle brings what is due up to date. The caller holds mu.
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

// unlock ends what was done with mu held: it settles what is due, and tells the observers of all members whose status has
// changed, without mu, and each in turn.
func (c *Cluster) unlock() {
	c.settle()
	for {
		m := c.nextToTell()
		if m == nil {
			break
		}
		f := m.observer
		m.telling = true
		c.mu.Unlock()
		if f != nil {
			f()
		}
		c.mu.Lock()
		m.telling = false
	}
	c.mu.Unlock()
}

// nextToTell returns a member whose observer is to be told, and whom no other goroutine is telling. The caller holds mu.
func (c *Cluster) nextToTell() *Member {
	for i, m := range c.dirty {
		if !m.telling {
			c.dirty = append(c.dirty[:i], c.dirty[i+1:]...)
			m.dirty = false
			return m
		}
	}
	return nil // or the goroutine that tells a member finds that there is more to tell
}
