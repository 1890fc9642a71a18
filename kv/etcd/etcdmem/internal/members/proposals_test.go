package members_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
)

// The member follows the previous leader and does not reach the new one. The previous leader passes the proposal on.
func TestAProposalIsForwardedToTheLeader(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, o := w.roles()
		w.Cut(f, o)
		w.must(w.Member(l).MoveLeader(t.Context(), w.Member(o).ID()))
		if w.Member(f).Status().Leader != w.Member(l).ID() {
			t.Fatal("the test itself: the member already knows the new leader")
		}
		before := w.Member(o).Status().Applied
		put := w.later(put, f)
		if after := w.Member(o).Status().Applied; after != before+1 {
			t.Errorf("the leader was at %d, and is now at %d", before, after)
		}
		w.pending(put)
		w.Mend(f, o)
		w.must(<-put)
	})
}

// The member that proposed the change is partitioned before it learns that the change was committed.
func TestAProposalReturnsWhenItsOwnMemberHasAppliedIt(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, _ := w.roles()
		w.Freeze(l)
		put := w.later(put, f)
		w.Act(partition, []int{f})
		before := w.Member(l).Status().Applied
		w.Thaw(l)
		if after := w.Member(l).Status().Applied; after != before+1 {
			t.Fatalf("the leader was at %d, and is now at %d", before, after)
		}
		time.Sleep(time.Second)
		w.pending(put)
		w.Act(heal, nil)
		w.must(<-put)
	})
}

func TestAnAbandonedProposalMayStillBeCommitted(t *testing.T) {
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

func TestALeaderThatHandsOverRejectsProposals(t *testing.T) {
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

// etcd wakes a proposal when the member applies its change. A member that receives another member's state applies no change.
func TestAProposalIsNotCompletedByAnotherMembersState(t *testing.T) {
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

func TestAMemberServesWhenItsOwnChangeIsApplied(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		_, f, o := w.roles()
		for i := range 3 {
			w.Stop(i)
		}
		if got, want := text(w.call(t.Context(), put, f)), "Unavailable: etcdserver: server stopped"; got != want {
			t.Errorf("a stopped member answers %q; want %q", got, want)
		}
		w.Start(f)
		time.Sleep(time.Minute)
		if isClosed(w.Member(f).Serving()) || w.HasQuorum(f) {
			t.Error("a member that has never had a leader serves")
		}
		w.Start(o)
		began := time.Now()
		<-w.Member(f).Serving()
		<-w.Member(o).Serving()
		if took := time.Since(began); took > 4*election {
			t.Errorf("two of three members served only after %v", took)
		}
	})
}
