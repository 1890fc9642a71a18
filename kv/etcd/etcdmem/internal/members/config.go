package members

import (
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/server"
)

// Config describes a cluster. A zero field has etcd's default.
type Config struct {
	// ClusterID identifies the cluster, and Members its members, as clients see them.
	ClusterID uint64
	Members   []server.MemberInfo

	// Seed decides everything that is random: which member leads first, and when members stand for election.
	Seed uint64

	// Heartbeat is the time between two heartbeats of a leader. Election is how long a member waits at least for a heartbeat before it
	// stands for election.
	Heartbeat, Election time.Duration

	// CatchUp is the number of changes by which a member may lag before it gets the leader's state instead.
	CatchUp uint64
}

func (c *Config) setDefaults() {
	if c.Heartbeat == 0 {
		c.Heartbeat = 100 * time.Millisecond
	}
	if c.Election == 0 {
		c.Election = time.Second
	}
	if c.CatchUp == 0 {
		c.CatchUp = 5000
	}
}

// electionTicks is an election's time in heartbeats.
func (c *Config) electionTicks() int { return int(c.Election / c.Heartbeat) }

// requestTimeout is how long a member tries to serve a request: five seconds, and two for elections.
func (c *Config) requestTimeout() time.Duration { return 5*time.Second + 2*c.Election }

const (
	// readAgain is how often a member asks the leader again for its place in the log.
	readAgain = 500 * time.Millisecond
	// looks is how many checks in a row, one in an election's time, find no leader before a member ends the streams that require a leader.
	looks = 3
	// silentFor is how long a member takes to find that its connection to another member is silent.
	silentFor = 5 * time.Second
	// adjustFor is how long after its start a member may make its first election earlier.
	adjustFor = 5 * time.Second
)
