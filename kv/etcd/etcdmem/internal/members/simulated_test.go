package members_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/members"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/server"
)

var _ server.Member = (*members.Member)(nil)

// A world is a cluster of three members, real or simulated.
type world interface {
	leader() int
	act(do action, to []int)
	call(ctx context.Context, what call, member int) error
}

// An answer is what a call returned, and when.
type answer struct {
	expectation
	text string
	took time.Duration
}

// play plays a scenario and returns what was answered.
func play(t *testing.T, w world, s scenario) []answer {
	l := w.leader()
	numbers := map[role]int{leader: l, follower: (l + 1) % 3, other: (l + 2) % 3}
	answers := make([]answer, len(s.calls))
	began := time.Now()
	var running sync.WaitGroup
	begun := make(map[time.Duration]chan struct{}) // closed when the faults of a time have happened
	for _, f := range s.faults {
		if begun[f.after] == nil {
			begun[f.after] = make(chan struct{})
		}
	}
	for i, e := range s.calls {
		if e.call == watch { // which must be there before the faults
			running.Add(1)
			opened := make(chan struct{})
			go func() {
				defer running.Done()
				answers[i] = ask(t, w, e, numbers[e.at], began, opened)
			}()
			<-opened
			continue
		}
		running.Go(func() {
			time.Sleep(e.after - time.Since(began))
			if ch := begun[e.after]; ch != nil {
				<-ch
			}
			answers[i] = ask(t, w, e, numbers[e.at], time.Now(), nil)
		})
	}
	for i, f := range s.faults {
		time.Sleep(f.after - time.Since(began))
		var to []int
		for _, r := range f.to {
			to = append(to, numbers[r])
		}
		w.act(f.do, to)
		if i+1 == len(s.faults) || s.faults[i+1].after != f.after {
			close(begun[f.after])
		}
	}
	running.Wait()
	return answers
}

// opened is the key of a context's channel that is closed when a watch is there.
type opened struct{}

func ask(t *testing.T, w world, e expectation, member int, began time.Time, open chan struct{}) answer {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := w.call(context.WithValue(ctx, opened{}, open), e.call, member)
	a := answer{e, ok, time.Since(began)}
	if err != nil {
		s := status.FromContextError(err)
		if st, is := status.FromError(err); is {
			s = st
		}
		a.text = fmt.Sprintf("%v: %s", s.Code(), s.Message())
	}
	return a
}

// check reports an answer that is not as expected. slack is for what a real machine adds.
func (a *answer) check(t *testing.T, slack time.Duration) {
	t.Helper()
	if !slices.Contains(a.answers, a.text) || a.took < a.min-slack/10 || a.took > a.max+slack {
		t.Errorf("%s at %v, %v after the beginning:\n  promised: %q within %v to %v\n  happened: %q after %v",
			a.call, a.at, a.after, a.answers, a.min, a.max, a.text, a.took)
	}
}

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

func (s simulated) act(do action, to []int) {
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

func (s simulated) call(ctx context.Context, what call, member int) error {
	m := s.Member(member)
	switch what {
	case put:
		return m.Propose(ctx, func(uint64) {})
	case get:
		return m.ReadIndex(ctx)
	}
	if err := m.Thawed(ctx); err != nil || what == stale {
		return err // it reads what it has
	}
	required, release, err := m.RequireLeader(ctx)
	if err != nil {
		return err
	}
	defer release()
	if what == watch {
		close(ctx.Value(opened{}).(chan struct{}))
		<-required.Done()
		return context.Cause(required)
	}
	return nil
}

func TestEachFaultHasTheAnswersAndTimesOfEtcd(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			for seed := range uint64(20) {
				synctest.Test(t, func(t *testing.T) {
					w := newSimulated(t, 3, seed)
					defer w.Close()
					time.Sleep(time.Duration(seed) * 7 * time.Millisecond) // to meet the clocks of the members at another moment
					for _, a := range play(t, w, s) {
						a.check(t, 0)
					}
				})
				if t.Failed() {
					t.Fatalf("with the seed %d", seed)
				}
			}
		})
	}
}
