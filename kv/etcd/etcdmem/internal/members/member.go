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

	observer func() // told of changes
	dirty    bool   // it is to be told
	telling  bool   // it is being told

	running bool
	frozen  bool
	life    int           // how often it was started or stopped
	changed chan struct{} // closed and replaced when those who wait at this member look again
	serving chan struct{} // closed when it serves clients
	upSince time.Time     // when others could connect to it

	// What raft has.
	term    uint64
	role    role
	lead    int // whom it follows, or none
	log     log
	timeout int // heartbeats without one until it stands for election
	inbox   []*entry
	leading leading // as a leader

	// What etcd's server has.
	elected   time.Time // when it became the leader last
	thawed    time.Time
	frozenAt  time.Time
	restored  uint64   // where it was taken to by another's state
	proposals []*entry // that wait until they are applied here
	reading   *reading // the question to the leader that is under way
	readNext  *reading // for reads that have come since
	streams   map[*stream]bool

	// What happens next; zero if nothing does.
	began       time.Time // of its clock
	electionDue time.Time // stands for election
	noLeaderDue time.Time // ends streams that require a leader
	adjustUntil time.Time // until when its first election may be brought forward
}

// A role is what raft calls a state.
type role int

const (
	follower  role = iota
	candidate      // that has asked for votes and was not granted them
	leader
)

// leading is what a leader knows.
type leading struct {
	checkFrom    time.Time         // when it began to count towards a check of its majority
	sent         time.Time         // when it last sent something else than a heartbeat
	heard        map[int]time.Time // when it last heard of the members that it does not reach
	transferee   int               // to whom it hands over, or none
	transferDue  time.Time         // when it gives that up
	quorumDue    time.Time         // when it finds that it has lost its majority
	heartbeatDue time.Time         // when it sends the heartbeat that next makes a difference
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

// ConfirmLeader implements server.Member. It asks the others only after a pause of its own clock, as etcd does: a leader that is
// cut off believes in itself until it has checked its majority.
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

// Serving returns a channel that is closed when the member serves clients, which it does some time after it was started. It
// returns another channel after a stop.
func (m *Member) Serving() <-chan struct{} {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	return m.serving
}

// awake reports whether the member's process runs and is not frozen. The caller holds mu, as for all below.
func (m *Member) awake() bool { return m.running && !m.frozen }

func (m *Member) leads() bool { return m.running && m.role == leader }

// mark has the member's observer told.
func (m *Member) mark() {
	if !m.dirty {
		m.dirty = true
		m.cluster.dirty = append(m.cluster.dirty, m)
	}
}

// wake has those who wait at this member look again.
func (m *Member) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// wait returns when something has changed at this member, or ctx ends. It releases mu meanwhile.
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

// follow has the member follow another, or none.
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

// look returns when the member looks for the n-th time from now on whether it has a leader.
func (m *Member) look(n int) time.Time {
	every := m.cluster.config.Election
	return m.began.Add((time.Since(m.began)/every + time.Duration(n)) * every)
}

// tick returns the time of the member's last tick, n ticks later.
func (m *Member) tick(n int) time.Time {
	every := m.cluster.config.Heartbeat
	return m.began.Add((time.Since(m.began)/every + time.Duration(n)) * every)
}
