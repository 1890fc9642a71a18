package members

import (
	"context"
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/server"
)

// A Member is a member of a [Cluster]. It implements [server.Member].
type Member struct {
	cluster *Cluster
	index   int
	info    server.MemberInfo

	// The fields below are guarded by Cluster.mu.

	observer func() // called after changes of Status
	dirty    bool   // the observer has to be called
	calling  bool   // the observer is being called

	running bool
	frozen  bool
	life    int           // how often it was started or stopped
	changed chan struct{} // closed and replaced when something has changed for the calls that wait at this member
	serving chan struct{} // closed when it serves clients
	upSince time.Time     // when others could connect to it

	// What raft has.
	term    uint64
	role    role
	lead    int // the index of the leader that it follows, or none
	log     log
	timeout int // how many heartbeats it misses before it stands for election
	inbox   []*entry
	leading leading // as a leader

	// What etcd's server has.
	elected   time.Time // when it last became the leader
	thawed    time.Time
	frozenAt  time.Time
	restored  uint64   // the place in the log up to which it last got another member's state
	proposals []*entry // that wait until they are applied here
	reading   *reading // the question to the leader that is under way
	readNext  *reading // the next question, for reads that began after reading
	streams   map[*stream]bool

	// What happens next; zero if nothing does.
	began       time.Time // of its clock
	electionDue time.Time // when it stands for election
	noLeaderDue time.Time // when it ends the streams that require a leader
	adjustUntil time.Time // until then its first election may be made earlier
}

// A role is what raft calls a state.
type role int

const (
	follower  role = iota
	candidate      // it has asked for votes and has not got enough
	leader
)

// leading is what a leader knows.
type leading struct {
	checkFrom    time.Time         // when it began to lead; its checks of its majority are counted from here
	sent         time.Time         // when it last sent a message that is no heartbeat
	heard        map[int]time.Time // when it last heard of the members that it does not reach
	transferee   int               // the member that it hands over to, or none
	transferDue  time.Time         // when it gives up the handover
	quorumDue    time.Time         // when it finds that it has lost its majority
	heartbeatDue time.Time         // when it sends the next heartbeat that changes something at a follower
}

// ID implements server.Member.
func (m *Member) ID() uint64 { return m.info.ID }

// Status implements server.Member.
func (m *Member) Status() server.Status {
	c := m.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	s := server.Status{
		ClusterID: c.config.ClusterID,
		Term:      m.term,
		Committed: m.log.upto,
		Applied:   m.log.upto,
		Restored:  m.restored,
		Members:   c.config.Members,
	}
	if m.lead != none {
		s.Leader = c.members[m.lead].info.ID
	}
	return s
}

// OnChange implements server.Member.
func (m *Member) OnChange(f func()) {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	m.observer = f
}

// ConfirmLeader implements server.Member. As in etcd, a leader asks the others only if it was frozen a moment ago. So a leader
// that is cut off says that it leads until it has checked its majority.
func (m *Member) ConfirmLeader(ctx context.Context) bool {
	c := m.cluster
	c.mu.Lock()
	leads, active := m.leads(), time.Since(m.thawed) > 3*c.config.Heartbeat
	c.mu.Unlock()
	if !leads || active {
		return leads
	}
	if err := m.ReadIndex(ctx); err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return m.leads()
}

// Serving returns a channel that is closed when the member serves clients, some time after its start. After a
// stop, Serving returns another channel.
func (m *Member) Serving() <-chan struct{} {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	return m.serving
}

// awake reports whether the member's process runs and is not frozen. The caller holds mu, as for all below.
func (m *Member) awake() bool { return m.running && !m.frozen }

func (m *Member) leads() bool { return m.running && m.role == leader }

// mark makes unlock call the member's observer.
func (m *Member) mark() {
	if !m.dirty {
		m.dirty = true
		m.cluster.dirty = append(m.cluster.dirty, m)
	}
}

// wake makes the calls that wait at this member look again.
func (m *Member) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// wait returns when something has changed at this member, or ctx ends. It does not hold mu while it waits.
func (m *Member) wait(ctx context.Context) error {
	changed := m.changed
	m.cluster.unlock()
	defer m.cluster.mu.Lock()
	select {
	case <-changed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// follow makes the member follow another member, or none.
func (m *Member) follow(lead int) {
	if m.lead == lead {
		return
	}
	m.lead = lead
	m.cluster.moved = true
	m.mark()
	m.wake()
	if lead == none {
		m.noLeaderDue = m.look(looks)
		return
	}
	m.noLeaderDue = time.Time{}
	m.leaderChanged()
}

// look returns the time of the n-th check from now on. At each check the member looks whether it has a leader.
func (m *Member) look(n int) time.Time {
	every := m.cluster.config.Election
	return m.began.Add((time.Since(m.began)/every + time.Duration(n)) * every)
}

// tick returns the time of the member's last tick, n ticks later.
func (m *Member) tick(n int) time.Time {
	every := m.cluster.config.Heartbeat
	return m.began.Add((time.Since(m.began)/every + time.Duration(n)) * every)
}
