package members_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/members"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/scenarios"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/server"
)

var _ server.Member = (*members.Member)(nil)

const (
	put       = scenarios.Put
	get       = scenarios.Get
	stale     = scenarios.Stale
	watch     = scenarios.Watch
	stop      = scenarios.Stop
	restart   = scenarios.Restart
	freeze    = scenarios.Freeze
	thaw      = scenarios.Thaw
	partition = scenarios.Partition
	heal      = scenarios.Heal
	moveTo    = scenarios.MoveTo

	heartbeat = scenarios.Heartbeat
	election  = scenarios.Election
	lostTo    = 2*election + 2*heartbeat // how long a member takes to find that it has no leader

	ok             = "OK"
	timedOut       = "Unavailable: etcdserver: request timed out"
	leaderFailed   = timedOut + ", possibly due to previous leader failure"
	connectionLost = timedOut + ", possibly due to connection lost"
	noLeader       = "Unavailable: etcdserver: no leader"
)

// simulated is a world of simulated members.
type simulated struct {
	*members.Cluster
	t *testing.T
}

func newSimulated(t *testing.T, n int, seed uint64) simulated {
	config := members.Config{ClusterID: 1, Seed: seed, Heartbeat: heartbeat, Election: election}
	for i := range n {
		config.Members = append(config.Members, server.MemberInfo{ID: uint64(100 + i), Name: fmt.Sprint("m", i)})
	}
	return simulated{members.New(config), t}
}

func (s simulated) leader() int {
	l, err := s.WaitLeader(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// Led implements scenarios.World.
func (s simulated) Led() int { return s.leader() }

// Act implements scenarios.World.
func (s simulated) Act(do scenarios.Action, to []int) {
	if do == heal {
		for a := range s.Size() {
			for b := range a {
				s.Mend(a, b)
			}
		}
		return
	}
	for _, i := range to {
		switch do {
		case stop:
			s.Stop(i)
		case restart:
			s.Start(i)
		case freeze:
			s.Freeze(i)
		case thaw:
			s.Thaw(i)
		case moveTo:
			s.must(s.Member(s.leader()).MoveLeader(s.t.Context(), s.Member(i).ID()))
		case partition:
			for j := range s.Size() {
				if !slices.Contains(to, j) {
					s.Cut(i, j)
				}
			}
		}
	}
}

func (s simulated) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// call makes a call other than a watch.
func (s simulated) call(ctx context.Context, what scenarios.Call, member int) error {
	return s.Call(ctx, what, member, nil)
}

// Call implements scenarios.World.
func (s simulated) Call(ctx context.Context, what scenarios.Call, member int, opened func()) error {
	m := s.Member(member)
	switch what {
	case put:
		return m.Propose(ctx, func(uint64) {})
	case get:
		return m.ReadIndex(ctx)
	}
	if err := m.Thawed(ctx); err != nil || what == stale {
		return err // a serializable read returns what the member has
	}
	required, release, err := m.RequireLeader(ctx)
	if err != nil {
		return err
	}
	defer release()
	if what == watch {
		opened()
		<-required.Done()
		return context.Cause(required)
	}
	return nil
}

func TestEachFaultHasTheAnswersAndTimesOfEtcd(t *testing.T) {
	for _, s := range scenarios.All {
		t.Run(s.Name, func(t *testing.T) {
			for seed := range uint64(20) {
				synctest.Test(t, func(t *testing.T) {
					w := newSimulated(t, 3, seed)
					defer w.Close()
					time.Sleep(time.Duration(seed) * 7 * time.Millisecond) // so that the faults come at another moment of the members' clocks
					for _, a := range s.Play(t, w) {
						a.Check(t, 0)
					}
				})
				if t.Failed() {
					t.Fatalf("with the seed %d", seed)
				}
			}
		})
	}
}
