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

	// Seed decides all that is random: who leads first, and when members stand for election.
	Seed uint64

	// Heartbeat is how often a leader sends heartbeats, and Election how long without one a member waits at least before it stands for
	// election.
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
	// looks is how often in a row, once in an election's time, a member finds that it has no leader before it ends the streams that
	// require one.
	looks = 3
	// silentFor is how long members take to find that a connection to another is silent.
	silentFor = 5 * time.Second
	// adjustFor is how long after its start a member may bring its first election forward.
	adjustFor = 5 * time.Second
)
