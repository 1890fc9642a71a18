package members_test

import (
	"context"
	"testing"
	"time"
)

func TestAReturningMemberDisturbsNoOther(t *testing.T) {
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

// A member that reaches others but not the leader has no leader. It cannot be elected, because the others follow the leader.
func TestAMemberThatOnlyTheLeaderCannotReachHasNoLeader(t *testing.T) {
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
		for i := range 5 { // f and one member that has voted stay
			if i != f && (i != o || o == elected) && !(o == elected && i == (elected+1)%5 && i != l) {
				w.Stop(i)
			}
		}
		w.Act(heal, nil)
		time.Sleep(time.Minute)
		if s := w.Member(f).Status(); s.Term != 3 || s.Leader != 0 {
			t.Errorf("the member follows %d in term %d; want no leader in term 3", s.Leader, s.Term)
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

// Only the elected member attributes the timeout to the previous leader.
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

// A leader asks its majority only if its own clock has stood still.
func TestALeaderIsConfirmed(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w simulated) {
		l, f, o := w.roles()
		confirm := func(i int) bool { return w.Member(i).ConfirmLeader(t.Context()) }
		if !confirm(l) || confirm(f) {
			t.Error("promised: in a quiet cluster the leader is confirmed, and no other member; that is not so")
		}
		w.Freeze(l)
		w.Stop(f)
		w.Stop(o)
		w.Thaw(l)
		began := time.Now()
		if confirm(l) || time.Since(began) < election {
			t.Errorf("promised: after a pause, a leader without a majority asks it and is not confirmed; it was confirmed, or did not ask: it took %v", time.Since(began))
		}
	})
}

func TestAStreamSurvivesAnElection(t *testing.T) {
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
			t.Error("the context of a stream that was released has not ended")
		}
	})
}

// After a start, the first election comes earlier. That is so for a single member, and for a member that reaches two others.
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
