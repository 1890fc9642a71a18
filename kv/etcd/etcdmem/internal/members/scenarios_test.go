package members_test

import (
	"slices"
	"time"
)

// A role is that of a member when a scenario begins.
type role int

const (
	leader   role = iota
	follower      // one of the two
	other         // the other
)

func (r role) String() string {
	return [...]string{"the leader", "a follower", "the other follower"}[r]
}

// A call is what a client asks of one member.
type call string

const (
	put    call = "put"
	get    call = "get"          // linearizable
	stale  call = "serializable" // a serializable get
	strict call = "strict"       // a serializable get that requires a leader
	watch  call = "watch"        // until the stream, which requires a leader, ends
)

// What clients are told.
const (
	ok             = "ok"
	timedOut       = "Unavailable: etcdserver: request timed out"
	leaderFailed   = "Unavailable: etcdserver: request timed out, possibly due to previous leader failure"
	connectionLost = "Unavailable: etcdserver: request timed out, possibly due to connection lost"
	leaderChanged  = "Unavailable: etcdserver: leader changed"
	noLeader       = "Unavailable: etcdserver: no leader"
	deadline       = "DeadlineExceeded: context deadline exceeded"
)

// The times of package etcdtest's clusters, which both kinds of clusters have here.
const (
	heartbeat = 50 * time.Millisecond
	election  = 500 * time.Millisecond
	patience  = 5*time.Second + 2*election // for a request
)

// A scenario is some faults of a cluster of three members, and what calls are answered, after how long.
type scenario struct {
	name   string
	faults []fault
	calls  []expectation
	short  bool // cheap enough for each run with real members
}

// A fault happens to members some time after the scenario's beginning.
type fault struct {
	after time.Duration
	do    action
	to    []role
}

// An action is what happens, in the words of package etcdtest.
type action string

const (
	stop      action = "stop"
	restart   action = "restart"
	freeze    action = "freeze"
	thaw      action = "thaw"
	partition action = "partition"
	heal      action = "heal"
	moveTo    action = "move the leader to"
)

// An expectation is one of some answers, not earlier and not later after the call than said. The call is made some time after the
// scenario's beginning, but never before the faults of that time.
type expectation struct {
	after    time.Duration
	call     call
	at       role
	answers  []string
	min, max time.Duration
}

func in(after time.Duration, do action, to ...role) fault { return fault{after, do, to} }

// at makes an expectation of a call at the scenario's beginning.
func at(r role, c call, answers ...string) expectation {
	e := expectation{call: c, at: r, answers: answers}
	switch {
	case slices.Contains(answers, timedOut), slices.Contains(answers, deadline):
		e.min, e.max = patience, patience
	}
	return e
}

// later makes the call later.
func (e expectation) later(after time.Duration) expectation {
	e.after = after
	return e
}

// within says how long the answer takes.
func (e expectation) within(min, max time.Duration) expectation {
	e.min, e.max = min, max
	return e
}

// elected is how long after a leader's last heartbeat another is elected: the lesser of two members' times by chance, the last heartbeat
// up to one ago. Real members may need to try twice.
const (
	electedFrom = election - heartbeat
	electedTo   = 2 * election
	twice       = 4 * election
)

// lost is how long a follower, or a leader without a majority, takes to find that there is no leader any more.
const (
	lostFrom = election - 2*heartbeat
	lostTo   = 2*election + 2*heartbeat
)

var (
	// unharmed are the calls that no fault of the consensus touches.
	unharmed = func(r role) []expectation { return []expectation{at(r, stale, ok), at(r, strict, ok)} }
	// leaderless are the calls at a member that has no leader, once it has found that out.
	leaderless = func(r role) []expectation {
		return []expectation{
			at(r, put, deadline).later(lostTo), at(r, get, timedOut).later(lostTo).within(patience, 2*patience),
			at(r, stale, ok).later(lostTo), at(r, strict, noLeader).later(lostTo),
		}
	}
	fine = func(r role) []expectation {
		return slices.Concat(unharmed(r), []expectation{at(r, put, ok), at(r, get, ok)})
	}
)

var scenarios = []scenario{
	{
		name:  "nothing happens",
		calls: slices.Concat(fine(leader), fine(follower), fine(other)),
		short: true,
	},
	{
		name:   "the leader is stopped",
		faults: []fault{in(0, stop, leader)},
		calls: slices.Concat(unharmed(follower), unharmed(other), []expectation{
			at(follower, put, timedOut, leaderFailed), at(other, put, timedOut, leaderFailed),
			at(follower, get, leaderChanged).within(electedFrom-heartbeat, twice),
			at(other, get, leaderChanged).within(electedFrom-heartbeat, twice),
			at(follower, put, ok).later(twice), at(other, get, ok).later(twice),
		}),
		short: true,
	},
	{
		name:   "the leader and a follower are stopped",
		faults: []fault{in(0, stop, leader, other)},
		calls: slices.Concat(unharmed(follower), leaderless(follower), []expectation{
			at(follower, put, timedOut), at(follower, get, timedOut),
			at(follower, watch, noLeader).within(lostFrom+2*election, lostTo+3*election),
		}),
	},
	{
		name:   "both followers are stopped",
		faults: []fault{in(0, stop, follower, other)},
		calls: slices.Concat(unharmed(leader), leaderless(leader), []expectation{
			at(leader, put, timedOut), at(leader, get, timedOut),
			at(leader, watch, noLeader).within(lostFrom+2*election, lostTo+3*election),
		}),
	},
	{
		name:   "a follower is stopped",
		faults: []fault{in(0, stop, other)},
		calls:  slices.Concat(fine(leader), fine(follower)),
		short:  true,
	},
	{
		name:   "both followers are stopped, and started before the leader knows",
		faults: []fault{in(0, stop, follower, other), in(election/5, restart, follower, other)},
		calls: []expectation{
			at(leader, put, ok).within(0, 3*election), at(leader, get, ok).within(0, 3*election),
		},
	},
	{
		name:   "the leader and a follower are stopped, and started again",
		faults: []fault{in(0, stop, leader, other), in(3*election, restart, leader, other)},
		calls: []expectation{
			at(follower, put, timedOut, leaderFailed, connectionLost),
			at(follower, get, leaderChanged).within(3*election, 7*election),
			at(follower, put, ok).later(lostTo).within(0, 5*election),
			at(follower, get, ok).later(lostTo).within(0, 5*election), // after the one before
		},
	},
	{
		name:   "the leader is cut off",
		faults: []fault{in(0, partition, leader)},
		calls: slices.Concat(unharmed(leader), leaderless(leader), unharmed(follower), unharmed(other), []expectation{
			at(leader, put, timedOut), at(leader, get, timedOut),
			at(leader, watch, noLeader).within(lostFrom+2*election, lostTo+3*election),
			at(follower, put, timedOut, leaderFailed), at(other, put, timedOut, leaderFailed),
			at(follower, get, leaderChanged).within(electedFrom-heartbeat, twice),
			at(follower, put, ok).later(twice), at(follower, get, ok).later(twice),
			at(other, put, ok).later(twice), at(other, strict, ok).later(twice),
		}),
	},
	{
		name:   "the leader is cut off, and comes back as a follower",
		faults: []fault{in(0, partition, leader), in(twice, heal)},
		calls: []expectation{
			at(leader, put, timedOut),
			at(leader, get, leaderChanged).within(twice, twice+4*heartbeat),
			at(leader, put, ok).later(lostTo).within(0, twice),
			at(leader, put, ok).later(twice + 4*heartbeat), at(leader, get, ok).later(twice + 4*heartbeat),
		},
	},
	{
		name:   "the leader is cut off, and comes back as the leader",
		faults: []fault{in(0, partition, leader), in(election/4, heal)},
		calls: []expectation{
			at(leader, put, ok).within(election/4, election/4+4*heartbeat),
			at(leader, get, ok).within(election/4, election+heartbeat),
			at(follower, put, timedOut),
			at(follower, get, ok).within(500*time.Millisecond, 500*time.Millisecond+heartbeat),
		},
	},
	{
		name:   "a follower is cut off",
		faults: []fault{in(0, partition, follower)},
		calls: slices.Concat(fine(leader), fine(other), unharmed(follower), leaderless(follower), []expectation{
			at(follower, put, timedOut), at(follower, get, timedOut),
			at(follower, watch, noLeader).within(lostFrom+2*election, lostTo+3*election),
		}),
		short: true,
	},
	{
		name:   "a follower is cut off, and comes back",
		faults: []fault{in(0, partition, follower), in(twice, heal)},
		calls: []expectation{
			at(follower, put, timedOut),
			at(follower, get, leaderChanged).within(twice, twice+4*heartbeat),
			at(follower, put, ok).later(lostTo).within(0, twice),
			at(leader, put, ok).later(twice), at(leader, put, ok).later(twice + 4*heartbeat), // nobody has deposed it
		},
	},
	{
		name:   "all are cut off from each other",
		faults: []fault{in(0, partition, leader), in(0, partition, follower)},
		calls: slices.Concat(unharmed(leader), leaderless(leader), unharmed(follower), leaderless(follower), leaderless(other), []expectation{
			at(leader, put, timedOut), at(leader, get, timedOut), at(follower, put, timedOut), at(other, get, timedOut),
		}),
	},
	{
		name:   "all are cut off from each other, and come back",
		faults: []fault{in(0, partition, leader), in(0, partition, follower), in(lostTo+heartbeat, heal)},
		calls: []expectation{
			at(follower, get, leaderChanged).within(lostTo, lostTo+twice),
			at(leader, get, leaderChanged).within(lostTo, lostTo+twice),
			at(follower, put, ok).later(lostTo).within(0, twice),
			at(leader, put, ok).later(lostTo).within(0, twice),
		},
	},
	{
		name:   "the leader is frozen",
		faults: []fault{in(0, freeze, leader), in(patience+time.Second, thaw, leader)},
		calls: slices.Concat(unharmed(follower), unharmed(other), []expectation{
			at(follower, put, timedOut, leaderFailed), at(other, put, timedOut, leaderFailed),
			at(follower, get, leaderChanged).within(electedFrom-heartbeat, twice),
			at(other, get, leaderChanged).within(electedFrom-heartbeat, twice),
			at(follower, put, ok).later(twice), at(other, get, ok).later(twice),
			at(leader, stale, ok).within(patience+time.Second, patience+time.Second+4*heartbeat),
			at(leader, put, ok).later(patience + 2*time.Second), at(leader, get, ok).later(patience + 2*time.Second),
		}),
	},
	{
		name:   "the leader is frozen, and goes on as the leader",
		faults: []fault{in(0, freeze, leader), in(election/4, thaw, leader)},
		calls: []expectation{
			at(leader, put, ok).within(election/4, election/4+4*heartbeat),
			at(follower, put, ok).within(election/4, election/4+4*heartbeat),
			at(follower, get, ok).within(election/4, election+heartbeat),
		},
	},
	{
		name:   "a follower is frozen",
		faults: []fault{in(0, freeze, follower), in(3*election, thaw, follower)},
		calls: slices.Concat(fine(leader), fine(other), []expectation{
			at(follower, put, ok).within(3*election, 3*election+4*heartbeat),
			at(follower, get, ok).within(3*election, 3*election+4*heartbeat),
			at(follower, stale, ok).within(3*election, 3*election+4*heartbeat),
			at(leader, put, ok).later(3*election + heartbeat), // nobody has deposed it
		}),
		short: true,
	},
	{
		name:   "both followers are frozen",
		faults: []fault{in(0, freeze, follower, other), in(2*patience+2*time.Second, thaw, follower, other)},
		calls: slices.Concat(unharmed(leader), leaderless(leader), []expectation{
			at(leader, put, timedOut), at(leader, get, timedOut),
			at(follower, stale, ok).within(2*patience+2*time.Second, 2*patience+2*time.Second+4*heartbeat),
		}),
	},
	{
		name:   "both followers are frozen, and thawed before the leader knows",
		faults: []fault{in(0, freeze, follower, other), in(election/4, thaw, follower, other)},
		calls: []expectation{
			at(leader, put, ok).within(election/4, election/4+4*heartbeat),
			at(leader, get, ok).within(election/4, election/4+4*heartbeat),
		},
	},
	{
		name:   "leadership is handed over",
		faults: []fault{in(0, moveTo, follower)},
		calls:  slices.Concat(fine(leader), fine(follower), fine(other)),
		short:  true,
	},
}
