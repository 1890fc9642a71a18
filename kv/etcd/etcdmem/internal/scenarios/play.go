package scenarios

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/status"
)

// askAgain is the time between two questions to a member whether it has a leader. Other times are no multiples of it. Otherwise two things
// could happen at the same moment in a bubble, and chance would decide which is first.
const askAgain = 9973 * time.Microsecond

// A World is a cluster of three members, real or simulated, with the times of this package.
type World interface {
	// Led waits until there is a leader, and returns it.
	Led() int
	// Act makes something happen to members.
	Act(do Action, members []int)
	// Call makes a call at a member. A [Watch] calls opened when the watch has begun.
	Call(ctx context.Context, what Call, member int, opened func()) error
}

// An Answer is what a call returned, and when.
type Answer struct {
	Expectation
	text string
	took time.Duration
	late time.Duration // how long it took until the member found that it has no leader, or, after the time of the call, until there was one
}

// A loss is the moment when a member finds that it has no leader.
type loss struct {
	found chan struct{} // closed when the member has found it
	late  time.Duration // since the faults
}

// Play plays a scenario and returns what was answered.
func (s *Scenario) Play(t *testing.T, w World) []Answer {
	p := &play{t: t, world: w, began: time.Now(), happened: make(map[time.Duration]chan struct{}), losses: make(map[Role]*loss)}
	l := w.Led()
	p.numbers = [...]int{Leader: l, Follower: (l + 1) % 3, Other: (l + 2) % 3}
	for _, f := range s.Faults {
		p.happened[f.after] = make(chan struct{})
	}
	answers := make([]Answer, len(s.Calls))
	var running sync.WaitGroup
	for _, e := range s.Calls {
		if e.leaderless && p.losses[e.at] == nil {
			l := &loss{found: make(chan struct{})}
			p.losses[e.at] = l
			running.Go(func() { p.find(l, e.at) })
		}
	}
	for i, e := range s.Calls {
		opened := make(chan struct{})
		running.Go(func() { answers[i] = p.ask(e, sync.OnceFunc(func() { close(opened) })) })
		if e.call == Watch { // it must have begun before the faults
			<-opened
		}
	}
	for i, f := range s.Faults {
		time.Sleep(f.after - time.Since(p.began))
		var to []int
		for _, r := range f.to {
			to = append(to, p.numbers[r])
		}
		w.Act(f.do, to)
		if i+1 == len(s.Faults) || s.Faults[i+1].after != f.after {
			close(p.happened[f.after])
		}
	}
	running.Wait()
	return answers
}

// A play is a scenario that is being played.
type play struct {
	t        *testing.T
	world    World
	numbers  [3]int // the members of the roles
	began    time.Time
	happened map[time.Duration]chan struct{} // closed when the faults of a time have happened
	losses   map[Role]*loss
}

// find asks a member after the first faults until it answers that it has no leader. A client is not notified of that.
func (p *play) find(l *loss, at Role) {
	defer close(l.found)
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	<-p.happened[0]
	began := time.Now()
	for text(p.world.Call(ctx, Strict, p.numbers[at], func() {})) != noLeader && ctx.Err() == nil {
		time.Sleep(askAgain)
	}
	l.late = time.Since(began)
}

// ask makes a call at its time.
func (p *play) ask(e Expectation, opened func()) Answer {
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	a, began := Answer{Expectation: e}, p.began
	if e.call != Watch {
		time.Sleep(e.after - time.Since(p.began))
		if ch := p.happened[e.after]; ch != nil {
			<-ch
		}
		began = time.Now()
	}
	if e.leaderless {
		l := p.losses[e.at]
		<-l.found
		a.late, began = l.late, time.Now()
	}
	if e.led {
		p.world.Led()
		a.late, began = time.Since(began), time.Now()
	}
	a.text = text(p.world.Call(ctx, e.call, p.numbers[e.at], opened))
	a.took = time.Since(began)
	opened() // for a watch that never began
	return a
}

// text returns the answer that a client gets.
func text(err error) string {
	if err == nil {
		return ok
	}
	s, is := status.FromError(err)
	if !is {
		s = status.FromContextError(err)
	}
	return fmt.Sprintf("%v: %s", s.Code(), s.Message())
}

// CheckText reports an answer with an unexpected text. The time of the answer does not count.
func (a *Answer) CheckText(t *testing.T) {
	t.Helper()
	if !slices.Contains(a.answers, a.text) {
		t.Errorf("%v\n  promised: %q", a, a.answers)
	}
}

// Check also reports an answer that came too early or too late, and a leader that did. A real machine may take a little longer.
func (a *Answer) Check(t *testing.T, slack time.Duration) {
	t.Helper()
	a.CheckText(t)
	if a.took < a.min-slack/10 || a.took > a.max+slack {
		t.Errorf("%v\n  promised: within %v to %v", a, a.min, a.max)
	}
	if a.leaderless && (a.late < lostFrom-slack/10 || a.late > lostTo+slack) {
		t.Errorf("%v\n  promised: the member finds that it has no leader within %v to %v\n  happened: it took %v", a, lostFrom, lostTo, a.late)
	}
	if a.led && a.late > slack {
		t.Errorf("%v\n  promised: the members have a leader by the time of the call\n  happened: it took %v longer", a, a.late)
	}
}

func (a *Answer) String() string {
	when := fmt.Sprintf("%v after the beginning", a.after)
	if a.leaderless {
		when = "without a leader"
	}
	return fmt.Sprintf("%s at %v, %s: %q after %v", a.call, a.at, when, a.text, a.took)
}
