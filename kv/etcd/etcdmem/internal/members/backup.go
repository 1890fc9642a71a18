package members

import "errors"

// A Backup is what the members of a cluster have stored.
type Backup struct {
	commit  uint64
	members []stored
}

// stored is what a member has stored.
type stored struct {
	term, upto, lastTerm uint64
}

var errRunning = errors.New("a member runs")

// Backup returns what the members have stored. They must all be stopped. Changes that are not committed are not part of it.
func (c *Cluster) Backup() (*Backup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.anyRuns() {
		return nil, errRunning
	}
	b := &Backup{commit: c.commit}
	for _, m := range c.members {
		b.members = append(b.members, stored{m.term, m.log.upto, m.log.lastTerm})
	}
	return b, nil
}

// Restore gives the members back what they had stored at a backup. They must all be stopped.
func (c *Cluster) Restore(b *Backup) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.anyRuns() {
		return errRunning
	}
	c.commit = b.commit
	for i, m := range c.members {
		s := b.members[i]
		m.term, m.log, m.restored = s.term, log{upto: s.upto, lastTerm: s.lastTerm}, 0
	}
	return nil
}

func (c *Cluster) anyRuns() bool {
	for _, m := range c.members {
		if m.running {
			return true
		}
	}
	return false
}
