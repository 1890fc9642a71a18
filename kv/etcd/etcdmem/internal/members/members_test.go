package members_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/members"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/scenarios"
)

// inBubble runs a test of simulated members in bubbles, with several seeds. The seed decides some of the members' times.
func inBubble(t *testing.T, n int, test func(t *testing.T, w simulated)) {
	t.Helper()
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			w := newSimulated(t, n, seed)
			defer w.Close()
			test(t, w)
		})
		if t.Failed() {
			t.Fatalf("with the seed %d", seed)
		}
	}
}

// roles returns the numbers of the leader and of two other members.
func (s simulated) roles() (l, f, o int) {
	l = s.leader()
	return l, (l + 1) % s.Size(), (l + 2) % s.Size()
}

// later starts a call. The channel receives its error.
func (s simulated) later(what scenarios.Call, member int) <-chan error {
	errs := make(chan error, 1)
	go func() { errs <- s.call(s.t.Context(), what, member) }()
	synctest.Wait()
	return errs
}

// pending checks that a call has not been answered yet.
func (s simulated) pending(errs <-chan error) {
	s.t.Helper()
	synctest.Wait()
	select {
	case err := <-errs:
		s.t.Errorf("a call that should wait returned %v", err)
	default:
	}
}

// text returns the answer that a client gets.
func text(err error) string {
	if err == nil {
		return ok
	}
	st := status.Convert(err)
	return st.Code().String() + ": " + st.Message()
}

func (s simulated) term(i int) uint64 { return s.Member(i).Status().Term }

func TestAClosedClusterStartsNothing(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		w.Close()
		w.Start(0)
		if got, want := text(w.call(t.Context(), put, 0)), "Unavailable: etcdserver: server stopped"; got != want {
			t.Errorf("a member of a closed cluster answers %q; want %q", got, want)
		}
		if _, err := w.WaitLeader(t.Context()); err == nil {
			t.Error("a closed cluster has a leader")
		}
	})
}

// Members find after five seconds that a connection to a frozen member is silent.
func TestAConnectionToAFrozenMemberIsLost(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, _ := w.roles()
		w.Cut(l, f)
		put := w.later(put, f)
		w.Freeze(l)
		frozen := time.Now()
		elected := w.leader()
		time.Sleep(5*time.Second - time.Since(frozen))
		w.Thaw(l)
		w.Act(heal, nil)
		w.leader()
		w.must(w.Member(elected).MoveLeader(t.Context(), w.Member(l).ID()))
		want := connectionLost
		if elected == f {
			want = leaderFailed
		}
		if got := text(<-put); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	})
}

// The clock of a frozen process stands still.
func TestFrozenTimeDoesNotCount(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		_, f, _ := w.roles()
		required, release, err := w.Member(f).RequireLeader(t.Context())
		w.must(err)
		defer release()
		w.Act(partition, []int{f})
		time.Sleep(lostTo)
		w.Freeze(f)
		time.Sleep(time.Minute)
		w.Thaw(f)
		synctest.Wait()
		if required.Err() != nil {
			t.Error("a stream ended at once because the leader was missing while the member was frozen")
		}
		time.Sleep(3 * election)
		synctest.Wait()
		if got := text(context.Cause(required)); got != noLeader {
			t.Errorf("the stream ended with %q; want %q", got, noLeader)
		}
	})
}

func TestAMemberThatLagsFarBehindGetsTheLeadersState(t *testing.T) {
	for _, c := range []struct {
		changes  int
		restored bool
	}{{5000, false}, {5001, true}} {
		inBubble(t, 3, func(t *testing.T, w simulated) {
			l, f, o := w.roles()
			w.Stop(f)
			for range c.changes {
				w.must(w.call(t.Context(), put, o))
			}
			w.Start(f)
			<-w.Member(f).Serving()
			s, leads := w.Member(f).Status(), w.Member(l).Status()
			if s.Applied != leads.Applied || (s.Restored != 0) != c.restored {
				t.Errorf("after %d changes the status is %+v, and the leader's is %+v", c.changes, s, leads)
			}
		})
	}
}

func TestARestoreTakesTheMembersBack(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		if _, err := w.Backup(); err == nil {
			t.Error("members that run were backed up")
		}
		all := func(do func(int)) {
			for i := range 3 {
				do(i)
			}
		}
		before := w.Member(0).Status()
		all(w.Stop)
		b, err := w.Backup()
		w.must(err)
		all(w.Start)
		all(func(i int) { <-w.Member(i).Serving() })
		w.must(w.call(t.Context(), put, 0))
		if w.Restore(b) == nil {
			t.Error("members that run were restored")
		}
		all(w.Stop)
		w.must(w.Restore(b))
		if s := w.Member(0).Status(); s.Applied != before.Applied || s.Term != before.Term {
			t.Errorf("after Restore the status is %+v; want %+v", s, before)
		}
		all(w.Start)
		all(func(i int) { <-w.Member(i).Serving() })
		w.must(w.call(t.Context(), put, 0))
	})
}

func TestAQuietClusterHasNoTimers(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		for i := range 3 {
			w.must(w.call(t.Context(), put, i))
			w.must(w.call(t.Context(), get, i))
		}
		w.Act(partition, []int{0})
		w.Act(heal, nil)
		time.Sleep(time.Minute)
		if members.Due(w.Cluster) {
			t.Error("a timer is pending in a quiet cluster")
		}
	})
}
