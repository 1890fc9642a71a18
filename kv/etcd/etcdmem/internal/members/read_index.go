package members

import (
	"context"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// A reading is one question to the leader: how far is the log committed? It is asked for all reads that wait for the answer.
type reading struct {
	done     bool
	err      error
	waits    bool   // the answer did not come at once
	term     uint64 // the term of the leader that has the question; zero if no leader has it
	againAt  time.Time
	giveUpAt time.Time
}

// ReadIndex implements server.Member.
func (m *Member) ReadIndex(ctx context.Context) error {
	c := m.cluster
	c.mu.Lock()
	defer c.unlock()
	var r *reading
	for life := m.life; ; {
		switch {
		case !m.running || m.life != life:
			return rpctypes.ErrGRPCStopped
		case r != nil && r.done:
			return r.err
		case r == nil && !m.frozen:
			r = m.read()
			continue // nearly always the reading is done by now
		}
		if err := m.wait(ctx); err != nil {
			return err
		}
	}
}

// read returns the reading for a read that begins now. It begins the reading at once if none is under way.
func (m *Member) read() *reading {
	switch {
	case m.reading == nil:
		r := new(reading)
		m.begin(r)
		return r
	case m.readNext == nil:
		m.readNext = new(reading)
	}
	return m.readNext
}

func (m *Member) begin(r *reading) {
	m.reading = r
	r.giveUpAt = time.Now().Add(m.cluster.config.requestTimeout())
	m.ask()
	if r.waits = !r.done; r.waits {
		m.cluster.moved = true
	}
}

// ask sends the question of the reading that is under way. A question that does not arrive is lost. The leader keeps a question that has
// arrived.
func (m *Member) ask() {
	c, r := m.cluster, m.reading
	r.againAt = time.Now().Add(readAgain)
	if m.lead == none {
		return
	}
	l := c.members[m.lead]
	if l != m && !c.linked(m, l) || !l.awake() || l.role != leader {
		return
	}
	r.term = l.term
	l.contact() // it answers if it reaches a majority
}

// answerReads makes a leader answer all members that have asked it. A majority has just confirmed the leader.
func (m *Member) answerReads() {
	for _, asker := range m.cluster.members {
		r := asker.reading
		asked := r != nil && r.term == m.term
		if asked && (asker == m || asker.awake() && m.cluster.linked(asker, m)) {
			asker.endReading(nil)
		}
	}
}

// endReading ends the reading that is under way. It begins the next one if reads wait for that.
func (m *Member) endReading(err error) {
	r := m.reading
	m.reading = nil
	r.done, r.err = true, err
	if r.waits {
		m.cluster.moved = true
		m.wake()
	}
	if next := m.readNext; next != nil {
		m.readNext = nil
		m.begin(next)
	}
}

func (m *Member) giveUpReading() { m.endReading(rpctypes.ErrGRPCTimeout) }

// leaderChanged fails the reading that is under way when the member hears of another leader.
func (m *Member) leaderChanged() {
	if m.reading != nil {
		m.endReading(rpctypes.ErrGRPCLeaderChanged)
	}
}
