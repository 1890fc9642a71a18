package etcdtest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Leader returns the member that leads now. A majority of members that run, are not frozen and can reach each other must agree on it, all of
// them. Leader returns false if there is no such leader, for example during an election. A leader that was just partitioned does not
// count, although it still believes for a moment that it leads.
func (c *Cluster) Leader() (member int, ok bool) {
	leader, _ := c.electorate()
	return leader, leader >= 0
}

// WaitLeader waits until the cluster has a leader in the sense of [Cluster.Leader], and returns it. It returns an error
// when ctx ends or the cluster is closed.
func (c *Cluster) WaitLeader(ctx context.Context) (int, error) {
	for {
		leader, news := c.electorate()
		if leader >= 0 {
			return leader, nil
		}
		if c.isClosed() {
			return 0, fmt.Errorf("etcdtest: wait for a leader: %w", errClosed)
		}
		cases := []reflect.SelectCase{receive(ctx.Done())}
		for _, ch := range news {
			cases = append(cases, receive(ch))
		}
		if chosen, _, _ := reflect.Select(cases); chosen == 0 {
			return 0, fmt.Errorf("etcdtest: wait for a leader: %w (%s)", ctx.Err(), c.state())
		}
	}
}

func receive(ch <-chan struct{}) reflect.SelectCase {
	return reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ch)}
}

// electorate looks for the leader among the members that can have one. If there is none, it returns -1 and channels. One of the channels
// closes when the result may have changed.
func (c *Cluster) electorate() (leader int, news []<-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	news = append(news, c.changed)
	for i := range c.members {
		if !c.hasQuorum(i) {
			continue
		}
		side := c.reach(i)
		// The channels are fetched first, so that no later change is missed.
		for _, j := range side {
			news = append(news, c.members[j].server.leaderChanged())
		}
		id := c.members[i].server.leader()
		leader := slices.IndexFunc(c.members, func(m *member) bool { return m.id == id })
		agreed := slices.Contains(side, leader) && !slices.ContainsFunc(side, func(j int) bool {
			return c.members[j].server.leader() != id
		})
		if agreed {
			return leader, nil
		}
		break // two sides cannot both be a majority
	}
	return -1, news
}

// state says for an error which members run and whom they follow.
func (c *Cluster) state() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parts []string
	for i, m := range c.members {
		switch {
		case !m.started():
			parts = append(parts, fmt.Sprintf("member %d is stopped", i))
			continue
		case m.frozen:
			parts = append(parts, fmt.Sprintf("member %d is frozen", i))
			continue
		}
		follows := "no leader"
		if id := m.server.leader(); id != 0 {
			follows = fmt.Sprintf("member %d", slices.IndexFunc(c.members, func(m *member) bool { return m.id == id }))
		}
		parts = append(parts, fmt.Sprintf("member %d reaches %v and follows %s", i, c.reach(i), follows))
	}
	return strings.Join(parts, "; ")
}

// MoveLeader makes the given member the leader and returns when all members know. If the member leads already, it does
// nothing. It retries until ctx ends: it cannot succeed while that member is stopped or partitioned.
func (c *Cluster) MoveLeader(ctx context.Context, to int) error {
	for {
		from, err := c.WaitLeader(ctx)
		if err != nil {
			return fmt.Errorf("etcdtest: move the leader to member %d: %w", to, err)
		}
		if from == to {
			return nil
		}
		c.mu.Lock()
		server, source, target := c.members[from].server, c.members[from].id, c.members[to].id
		c.mu.Unlock()
		if server == nil {
			continue // the leader was stopped in between
		}
		// Raft silently gives up a transfer that takes longer than an election timeout.
		try, cancel := context.WithTimeout(ctx, 2*c.electionTimeout(from))
		err = server.moveLeader(try, source, target)
		gaveUp := try.Err() != nil
		cancel()
		if ctx.Err() != nil {
			err = ctx.Err()
		} else if gaveUp {
			err = nil // and try again
		}
		if err != nil {
			return fmt.Errorf("etcdtest: move the leader from member %d to %d: %w (%s)", from, to, err, c.state())
		}
		// The next round asks all members whether it has worked.
	}
}

func (c *Cluster) electionTimeout(member int) time.Duration {
	ms := uint(electionMs)
	if etcd := c.Member(member); etcd != nil {
		ms = etcd.Config().ElectionMs // WithConfig may have changed it
	}
	return time.Duration(ms) * time.Millisecond
}
