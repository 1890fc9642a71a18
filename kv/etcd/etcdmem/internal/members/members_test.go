package members_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/members"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/scenarios"
)

// inBubble runs a test of simulated members, some of whose times are those of the seed.
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

// roles returns the numbers of the leader and of two others.
func (s simulated) roles() (l, f, o int) {
	l = s.leader()
	return l, (l + 1) % s.Size(), (l + 2) % s.Size()
}

// later makes a call and returns its error when there is one.
func (s simulated) later(what scenarios.Call, member int) <-chan error {
	errs := make(chan error, 1)
	go func() { errs <- s.call(s.t.Context(), what, member) }()
	synctest.Wait()
	return errs
}

// pending wants a call not to be answered yet.
func (s simulated) pending(errs <-chan error) {
	s.t.Helper()
	synctest.Wait()
	select {
	case err := <-errs:
		s.t.Errorf("a call that should wait returned %v", err)
	default:
	}
}

// text returns what a client is told.
func text(err error) string {
	if err == nil {
		return ok
	}
	st := status.Convert(err)
	return st.Code().String() + ": " + st.Message()
}

func (s simulated) term(i int) uint64 { return s.Member(i).Status().Term }

func TestAMemberThatComesBackDisturbsNobody(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, _ := w.roles()
		before := w.term(l)
		w.Act(partition, []int{f})
		time.Sleep(time.Minute)
		w.Act(heal, nil)
		time.Sleep(time.Minute)
		if now, _ := w.Leader(); now != l || w.term(l) != before || w.term(f) != before {
			t.Errorf("member %d leads in term %d; before it was %d in term %d", now, w.term(now), l, before)
		}
	})
}

// A member that the leader does not reach, and others do, has no leader, and elects none: the others hear of theirs.
func TestAMemberThatOthersReachAndTheLeaderDoesNotHasNoLeader(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, o := w.roles()
		before := w.term(l)
		w.Cut(l, f)
		time.Sleep(time.Minute)
		for i, want := range map[int]uint64{l: w.Member(l).ID(), o: w.Member(l).ID(), f: 0} {
			if s := w.Member(i).Status(); s.Leader != want || s.Term != before {
				t.Errorf("member %d follows %d in term %d; want %d in term %d", i, s.Leader, s.Term, want, before)
			}
		}
		w.must(w.call(t.Context(), put, o))
		w.Mend(l, f)
		time.Sleep(2 * heartbeat)
		w.must(w.call(t.Context(), put, f))
	})
}

func TestAMemberLearnsOfALaterTerm(t *testing.T) {
	inBubble(t, 5, func(t *testing.T, w simulated) {
		l, f, o := w.roles()
		w.Act(partition, []int{f})
		w.Stop(l)
		time.Sleep(time.Minute)
		elected := w.leader()
		for i := range 5 { // only f and one that has voted are left
			if i != f && (i != o || o == elected) && !(o == elected && i == (elected+1)%5 && i != l) {
				w.Stop(i)
			}
		}
		w.Act(heal, nil)
		time.Sleep(time.Minute)
		if s := w.Member(f).Status(); s.Term != 3 || s.Leader != 0 {
			t.Errorf("the member follows %d in term %d; want nobody in term 3", s.Leader, s.Term)
		}
	})
}

func TestAMemberThatLagsIsNotElected(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, o := w.roles()
		w.Act(partition, []int{f})
		w.must(w.call(t.Context(), put, l))
		w.Stop(l)
		w.Act(heal, nil)
		if elected := w.leader(); elected != o {
			t.Errorf("member %d was elected, which lacks a change that member %d has", elected, o)
		}
	})
}

// The member follows one that has handed over, and does not reach the one that leads.
func TestAProposalIsPassedOn(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, o := w.roles()
		w.Cut(f, o)
		w.must(w.Member(l).MoveLeader(t.Context(), w.Member(o).ID()))
		if w.Member(f).Status().Leader != w.Member(l).ID() {
			t.Fatal("the test itself: the member knows of the leader")
		}
		before := w.Member(o).Status().Applied
		put := w.later(put, f)
		if after := w.Member(o).Status().Applied; after != before+1 {
			t.Errorf("the leader was at %d, and is at %d", before, after)
		}
		w.pending(put)
		w.Mend(f, o)
		w.must(<-put)
	})
}

func TestAClosedClusterStartsNothing(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		w.Close()
		w.Start(0)
		if got, want := text(w.call(t.Context(), put, 0)), "Unavailable: etcdserver: server stopped"; got != want {
			t.Errorf("a member of a closed cluster says %q; want %q", got, want)
		}
		if _, err := w.WaitLeader(t.Context()); err == nil {
			t.Error("a closed cluster has a leader")
		}
	})
}

func TestAnElectionIsAChangeInTheLog(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, _ := w.roles()
		before := w.Member(f).Status()
		w.must(w.Member(l).MoveLeader(t.Context(), w.Member(f).ID()))
		after := w.Member(f).Status()
		if after.Term != before.Term+1 || after.Applied != before.Applied+1 || after.Leader != w.Member(f).ID() {
			t.Errorf("after an election the status is %+v; before it was %+v", after, before)
		}
	})
}

// The change is committed, and the member that proposed it is cut off before it knows.
func TestAProposalReturnsWhenItsOwnMemberHasAppliedIt(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, _ := w.roles()
		w.Freeze(l)
		put := w.later(put, f)
		w.Act(partition, []int{f})
		before := w.Member(l).Status().Applied
		w.Thaw(l)
		if after := w.Member(l).Status().Applied; after != before+1 {
			t.Fatalf("the leader was at %d, and is at %d", before, after)
		}
		time.Sleep(time.Second)
		w.pending(put)
		w.Act(heal, nil)
		w.must(<-put)
	})
}

func TestAChangeThatWasGivenUpMayStillBeCommitted(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, o := w.roles()
		w.Freeze(f)
		w.Freeze(o)
		ctx, cancel := context.WithTimeout(t.Context(), heartbeat)
		defer cancel()
		applied := false
		err := w.Member(l).Propose(ctx, func(uint64) { applied = true })
		if err != context.DeadlineExceeded || applied {
			t.Fatalf("without a majority Propose returned %v, applied %v", err, applied)
		}
		w.Thaw(f)
		time.Sleep(2 * heartbeat)
		if !applied {
			t.Error("the leader has its majority again, and has not committed the change")
		}
	})
}

// Whoever is elected puts the time-out down to the previous leader, and nobody else.
func TestTheElectedMemberBlamesThePreviousLeader(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, o := w.roles()
		w.Stop(l)
		puts := map[int]<-chan error{f: w.later(put, f), o: w.later(put, o)}
		elected := w.leader()
		for i, err := range puts {
			want := timedOut
			if i == elected {
				want = leaderFailed
			}
			if got := text(<-err); got != want {
				t.Errorf("at member %d: %q; want %q (member %d was elected)", i, got, want, elected)
			}
		}
	})
}

// Members find after five seconds that a connection to a frozen one is silent.
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
func TestTimeFrozenDoesNotCount(t *testing.T) {
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
			t.Error("a stream was ended at once for a leader that was missing while the member was frozen")
		}
		time.Sleep(3 * election)
		synctest.Wait()
		if got := text(context.Cause(required)); got != noLeader {
			t.Errorf("the stream ended with %q; want %q", got, noLeader)
		}
	})
}

func TestALeaderThatHandsOverTakesNoProposals(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, _ := w.roles()
		w.Act(partition, []int{f})
		ctx, cancel := context.WithTimeout(t.Context(), 10*election)
		defer cancel()
		moved := make(chan error, 1)
		go func() { moved <- w.Member(l).MoveLeader(ctx, w.Member(f).ID()) }()
		synctest.Wait()
		if got, want := text(w.call(t.Context(), put, l)), codes.Unknown.String()+": raft proposal dropped"; got != want {
			t.Errorf("a proposal was answered %q; want %q", got, want)
		}
		time.Sleep(election + heartbeat)
		w.must(w.call(t.Context(), put, l))
		if got, want := text(<-moved), "Unknown: etcdserver: request timed out, leader transfer took too long"; got != want {
			t.Errorf("MoveLeader returned %q; want %q", got, want)
		}
		for to, want := range map[uint64]string{
			4711:             "FailedPrecondition: etcdserver: bad leader transferee",
			w.Member(l).ID(): ok,
		} {
			if got := text(w.Member(l).MoveLeader(t.Context(), to)); got != want {
				t.Errorf("MoveLeader to %d returned %q; want %q", to, got, want)
			}
		}
		if got, want := text(w.Member(f).MoveLeader(t.Context(), 1)), "FailedPrecondition: etcdserver: not leader"; got != want {
			t.Errorf("MoveLeader of a follower returned %q; want %q", got, want)
		}
	})
}

// The member asks its majority only when its own clock has stood still.
func TestALeaderIsConfirmed(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, o := w.roles()
		confirm := func(i int) bool { return w.Member(i).ConfirmLeader(t.Context()) }
		if !confirm(l) || confirm(f) {
			t.Error("in a quiet cluster not the leader alone is confirmed")
		}
		w.Freeze(l)
		w.Stop(f)
		w.Stop(o)
		w.Thaw(l)
		began := time.Now()
		if confirm(l) || time.Since(began) < election {
			t.Errorf("a leader without a majority was confirmed after a pause, or was not asked: it took %v", time.Since(began))
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
				t.Errorf("after %d changes the status is %+v, that of the leader %+v", c.changes, s, leads)
			}
		})
	}
}

// etcd wakes a proposal when it applies its change, and a member that gets another's state applies none.
func TestAProposalIsNotWokenByAnothersState(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, _ := w.roles()
		w.Freeze(l)
		passed := w.later(put, f)
		w.Act(partition, []int{f})
		w.Thaw(l)
		for range 5001 {
			w.must(w.call(t.Context(), put, l))
		}
		w.Act(heal, nil)
		if got := text(<-passed); got != timedOut || w.Member(f).Status().Restored == 0 {
			t.Errorf("%q; want %q", got, timedOut)
		}
	})
}

func TestAStreamOutlivesAnElection(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		_, f, _ := w.roles()
		required, release, err := w.Member(f).RequireLeader(t.Context())
		w.must(err)
		w.Act(partition, []int{f})
		time.Sleep(lostTo)
		w.Act(heal, nil)
		time.Sleep(time.Minute)
		if required.Err() != nil {
			t.Errorf("the stream ended: %v", context.Cause(required))
		}
		if release(); required.Err() == nil {
			t.Error("a stream that was released has not ended")
		}
	})
}

func TestAMemberServesWhenItsOwnChangeIsApplied(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		_, f, o := w.roles()
		for i := range 3 {
			w.Stop(i)
		}
		if got, want := text(w.call(t.Context(), put, f)), "Unavailable: etcdserver: server stopped"; got != want {
			t.Errorf("a stopped member says %q; want %q", got, want)
		}
		w.Start(f)
		time.Sleep(time.Minute)
		if isClosed(w.Member(f).Serving()) || w.HasQuorum(f) {
			t.Error("a member serves that has never had a leader")
		}
		w.Start(o)
		began := time.Now()
		<-w.Member(f).Serving()
		<-w.Member(o).Serving()
		if took := time.Since(began); took > 4*election {
			t.Errorf("it took %v until two members of three serve", took)
		}
	})
}

// The first election after a start comes earlier: of a member that is alone, and of one that can talk to two others.
func TestTheFirstElectionComesEarlier(t *testing.T) {
	for _, n := range []int{1, 3} {
		inBubble(t, n, func(t *testing.T, w simulated) {
			for i := range n {
				w.Stop(i)
			}
			for i := range n {
				w.Start(i)
			}
			began := time.Now()
			w.leader()
			if took := time.Since(began); took > election+2*heartbeat {
				t.Errorf("the first election of %d members came after %v", n, took)
			}
		})
	}
}

func TestABackupTakesTheMembersBack(t *testing.T) {
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
			t.Error("something is due in a cluster where nothing happens")
		}
	})
}
