package scenarios

import (
	"slices"
	"time"
)

// A Role is the role of a member when a scenario begins.
type Role int

const (
	Leader   Role = iota
	Follower      // one of the two
	Other         // the other
)

func (r Role) String() string {
	return [...]string{"the leader", "a follower", "the other follower"}[r]
}

// A Call is what a client asks of one member.
type Call string

const (
	Put    Call = "put"
	Get    Call = "get"          // linearizable
	Stale  Call = "serializable" // a serializable get
	Strict Call = "strict"       // a serializable get that requires a leader
	Watch  Call = "watch"        // until the stream, which requires a leader, ends
)

// The answers that clients get.
const (
	ok             = "ok"
	timedOut       = "Unavailable: etcdserver: request timed out"
	leaderFailed   = "Unavailable: etcdserver: request timed out, possibly due to previous leader failure"
	connectionLost = "Unavailable: etcdserver: request timed out, possibly due to connection lost"
	leaderChanged  = "Unavailable: etcdserver: leader changed"
	noLeader       = "Unavailable: etcdserver: no leader"
	deadline       = "DeadlineExceeded: context deadline exceeded"
)

// Both kinds of clusters have the times of package etcdtest's clusters here.
const (
	Heartbeat = 50 * time.Millisecond
	Election  = 500 * time.Millisecond
	Patience  = 5*time.Second + 2*Election // for a request
)

// A Scenario is some faults of a cluster of three members, with the expected answers to calls and their times.
type Scenario struct {
	Name   string
	Faults []Fault
	Calls  []Expectation
	Short  bool // no answer that comes soon depends on how long an election takes
}

// A Fault happens to members some time after the scenario's beginning.
type Fault struct {
	after time.Duration
	do    Action
	to    []Role
}

// An Action is what happens, in the words of package etcdtest.
type Action string

const (
	Stop      Action = "stop"
	Restart   Action = "restart"
	Freeze    Action = "freeze"
	Thaw      Action = "thaw"
	Partition Action = "partition"
	Heal      Action = "heal"
	MoveTo    Action = "move the leader to"
)

// An Expectation of a call is that one of some answers comes within a range of time after the call. The call is made some time after the
// scenario's beginning, and after the faults of that time.
type Expectation struct {
	after      time.Duration
	leaderless bool // the call is made when the member has found that it has no leader
	led        bool // the call is made when the members agree on a leader, which they do by the time of the call
	call       Call
	at         Role
	answers    []string
	min, max   time.Duration
}

// elected makes the call later, when the members have elected a leader. Etcd does not promise by when they have. A call at a member that still
// waits for the election is answered otherwise: a linearizable read that meets a change of the leader fails with leaderChanged.
func (e Expectation) elected(by time.Duration) Expectation {
	e.after, e.led = by, true
	return e
}

// Soon reports whether the answer comes soon after the scenario's beginning.
func (e Expectation) Soon() bool { return !e.leaderless && e.after+e.max <= twice }

// Led reports whether the call is made when the members have elected a leader.
func (e Expectation) Led() bool { return e.led }

// in makes a fault.
func in(after time.Duration, do Action, to ...Role) Fault { return Fault{after, do, to} }

// at makes an expectation of a call at the scenario's beginning.
func at(r Role, c Call, answers ...string) Expectation {
	e := Expectation{call: c, at: r, answers: answers}
	switch {
	case slices.Contains(answers, timedOut), slices.Contains(answers, deadline):
		e.min, e.max = Patience, Patience
	}
	return e
}

// later makes the call later.
func (e Expectation) later(after time.Duration) Expectation {
	e.after = after
	return e
}

// within sets the range of time for the answer.
func (e Expectation) within(min, max time.Duration) Expectation {
	e.min, e.max = min, max
	return e
}

// Each of two members stands for election after a random time since the last heartbeat. The shorter time counts. The last heartbeat is at
// most one interval ago. Real members may need a second election.
const (
	electedFrom = Election - Heartbeat
	twice       = 4 * Election
)

// This is how long a follower, or a leader without a majority, takes to find that there is no leader any more.
const (
	lostFrom = Election - 2*Heartbeat
	lostTo   = 2*Election + 2*Heartbeat
)

var (
	// unharmed are the calls that work during every fault of the consensus.
	unharmed = func(r Role) []Expectation { return []Expectation{at(r, Stale, ok), at(r, Strict, ok)} }
	// leaderless are the calls at a member that has found that it has no leader.
	leaderless = func(r Role) []Expectation {
		calls := []Expectation{at(r, Put, deadline), at(r, Get, timedOut).within(Patience, 2*Patience), at(r, Stale, ok), at(r, Strict, noLeader)}
		for i := range calls {
			calls[i].leaderless = true
		}
		return calls
	}
	// fine are the calls at a member with a leader and a majority.
	fine = func(r Role) []Expectation {
		return slices.Concat(unharmed(r), []Expectation{at(r, Put, ok), at(r, Get, ok)})
	}
)

// All are the scenarios.
var All = []Scenario{
	{
		Name:  "nothing happens",
		Calls: slices.Concat(fine(Leader), fine(Follower), fine(Other)),
		Short: true,
	},
	{
		Name:   "the leader is stopped",
		Faults: []Fault{in(0, Stop, Leader)},
		Calls: slices.Concat(unharmed(Follower), unharmed(Other), []Expectation{
			at(Follower, Put, timedOut, leaderFailed), at(Other, Put, timedOut, leaderFailed),
			at(Follower, Get, leaderChanged).within(electedFrom-Heartbeat, twice),
			at(Other, Get, leaderChanged).within(electedFrom-Heartbeat, twice),
			at(Follower, Put, ok).elected(twice), at(Other, Get, ok).elected(twice),
		}),
	},
	{
		Name:   "the leader and a follower are stopped",
		Faults: []Fault{in(0, Stop, Leader, Other)},
		Calls: slices.Concat(unharmed(Follower), leaderless(Follower), []Expectation{
			at(Follower, Put, timedOut), at(Follower, Get, timedOut),
			at(Follower, Watch, noLeader).within(lostFrom+2*Election, lostTo+3*Election),
		}),
	},
	{
		Name:   "both followers are stopped",
		Faults: []Fault{in(0, Stop, Follower, Other)},
		Calls: slices.Concat(unharmed(Leader), leaderless(Leader), []Expectation{
			at(Leader, Put, timedOut), at(Leader, Get, timedOut),
			at(Leader, Watch, noLeader).within(lostFrom+2*Election, lostTo+3*Election),
		}),
	},
	{
		Name:   "a follower is stopped",
		Faults: []Fault{in(0, Stop, Other)},
		Calls:  slices.Concat(fine(Leader), fine(Follower)),
		Short:  true,
	},
	{
		Name:   "both followers are stopped, and started before the leader knows",
		Faults: []Fault{in(0, Stop, Follower, Other), in(Election/5, Restart, Follower, Other)},
		Calls: []Expectation{
			at(Leader, Put, ok).within(0, 3*Election), at(Leader, Get, ok).within(0, 3*Election),
		},
	},
	{
		Name:   "the leader and a follower are stopped, and started again",
		Faults: []Fault{in(0, Stop, Leader, Other), in(3*Election, Restart, Leader, Other)},
		Calls: []Expectation{
			at(Follower, Put, timedOut, leaderFailed, connectionLost),
			at(Follower, Get, leaderChanged).within(3*Election, 7*Election),
			at(Follower, Put, ok).later(lostTo).within(0, 5*Election),
			at(Follower, Get, ok).later(lostTo).within(0, 5*Election), // after the one before
		},
	},
	{
		Name:   "the leader is cut off",
		Faults: []Fault{in(0, Partition, Leader)},
		Calls: slices.Concat(unharmed(Leader), leaderless(Leader), unharmed(Follower), unharmed(Other), []Expectation{
			at(Leader, Put, timedOut), at(Leader, Get, timedOut),
			at(Leader, Watch, noLeader).within(lostFrom+2*Election, lostTo+3*Election),
			at(Follower, Put, timedOut, leaderFailed), at(Other, Put, timedOut, leaderFailed),
			at(Follower, Get, leaderChanged).within(electedFrom-Heartbeat, twice),
			at(Follower, Put, ok).elected(twice), at(Follower, Get, ok).elected(twice),
			at(Other, Put, ok).elected(twice), at(Other, Strict, ok).elected(twice),
		}),
	},
	{
		Name:   "the leader is cut off, and comes back as a follower",
		Faults: []Fault{in(0, Partition, Leader), in(twice, Heal)},
		Calls: []Expectation{
			at(Leader, Put, timedOut),
			at(Leader, Get, leaderChanged).within(twice, twice+4*Heartbeat),
			at(Leader, Put, ok).later(lostTo).within(0, twice),
			at(Leader, Put, ok).elected(twice + 4*Heartbeat), at(Leader, Get, ok).elected(twice + 4*Heartbeat),
		},
	},
	{
		Name:   "the leader is cut off, and comes back as the leader",
		Faults: []Fault{in(0, Partition, Leader), in(Election/4, Heal)},
		Calls: []Expectation{
			at(Leader, Put, ok).within(Election/4, Election/4+4*Heartbeat),
			at(Leader, Get, ok).within(Election/4, Election+Heartbeat),
			at(Follower, Put, timedOut),
			at(Follower, Get, ok).within(500*time.Millisecond, 500*time.Millisecond+Heartbeat),
		},
	},
	{
		Name:   "a follower is cut off",
		Faults: []Fault{in(0, Partition, Follower)},
		Calls: slices.Concat(fine(Leader), fine(Other), unharmed(Follower), leaderless(Follower), []Expectation{
			at(Follower, Put, timedOut), at(Follower, Get, timedOut),
			at(Follower, Watch, noLeader).within(lostFrom+2*Election, lostTo+3*Election),
		}),
		Short: true,
	},
	{
		Name:   "a follower is cut off, and comes back",
		Faults: []Fault{in(0, Partition, Follower), in(twice, Heal)},
		Calls: []Expectation{
			at(Follower, Put, timedOut),
			at(Follower, Get, leaderChanged).within(twice, twice+4*Heartbeat),
			at(Follower, Put, ok).later(lostTo).within(0, twice),
			at(Leader, Put, ok).later(twice), at(Leader, Put, ok).later(twice + 4*Heartbeat), // no other member was elected
		},
	},
	{
		Name:   "all are cut off from each other",
		Faults: []Fault{in(0, Partition, Leader), in(0, Partition, Follower)},
		Calls: slices.Concat(unharmed(Leader), leaderless(Leader), unharmed(Follower), leaderless(Follower), leaderless(Other), []Expectation{
			at(Leader, Put, timedOut), at(Leader, Get, timedOut), at(Follower, Put, timedOut), at(Other, Get, timedOut),
		}),
	},
	{
		Name:   "all are cut off from each other, and come back",
		Faults: []Fault{in(0, Partition, Leader), in(0, Partition, Follower), in(lostTo+Heartbeat, Heal)},
		Calls: []Expectation{
			at(Follower, Get, leaderChanged).within(lostTo, lostTo+twice),
			at(Leader, Get, leaderChanged).within(lostTo, lostTo+twice),
			at(Follower, Put, ok).later(lostTo).within(0, twice),
			at(Leader, Put, ok).later(lostTo).within(0, twice),
		},
	},
	{
		Name:   "the leader is frozen",
		Faults: []Fault{in(0, Freeze, Leader), in(Patience+time.Second, Thaw, Leader)},
		Calls: slices.Concat(unharmed(Follower), unharmed(Other), []Expectation{
			at(Follower, Put, timedOut, leaderFailed), at(Other, Put, timedOut, leaderFailed),
			at(Follower, Get, leaderChanged).within(electedFrom-Heartbeat, twice),
			at(Other, Get, leaderChanged).within(electedFrom-Heartbeat, twice),
			at(Follower, Put, ok).elected(twice), at(Other, Get, ok).elected(twice),
			at(Leader, Stale, ok).within(Patience+time.Second, Patience+time.Second+4*Heartbeat),
			at(Leader, Put, ok).elected(Patience + 2*time.Second), at(Leader, Get, ok).elected(Patience + 2*time.Second),
		}),
	},
	{
		Name:   "the leader is frozen, and goes on as the leader",
		Faults: []Fault{in(0, Freeze, Leader), in(Election/4, Thaw, Leader)},
		Calls: []Expectation{
			at(Leader, Put, ok).within(Election/4, Election/4+4*Heartbeat),
			at(Follower, Put, ok).within(Election/4, Election/4+4*Heartbeat),
			at(Follower, Get, ok).within(Election/4, Election+Heartbeat),
		},
	},
	{
		Name:   "a follower is frozen",
		Faults: []Fault{in(0, Freeze, Follower), in(3*Election, Thaw, Follower)},
		Calls: slices.Concat(fine(Leader), fine(Other), []Expectation{
			at(Follower, Put, ok).within(3*Election, 3*Election+4*Heartbeat),
			at(Follower, Get, ok).within(3*Election, 3*Election+4*Heartbeat),
			at(Follower, Stale, ok).within(3*Election, 3*Election+4*Heartbeat),
			at(Leader, Put, ok).later(3*Election + Heartbeat), // no other member was elected
		}),
	},
	{
		Name:   "both followers are frozen",
		Faults: []Fault{in(0, Freeze, Follower, Other), in(2*Patience+2*time.Second, Thaw, Follower, Other)},
		Calls: slices.Concat(unharmed(Leader), leaderless(Leader), []Expectation{
			at(Leader, Put, timedOut), at(Leader, Get, timedOut),
			at(Follower, Stale, ok).within(2*Patience+2*time.Second, 2*Patience+2*time.Second+4*Heartbeat),
		}),
	},
	{
		Name:   "both followers are frozen, and thawed before the leader knows",
		Faults: []Fault{in(0, Freeze, Follower, Other), in(Election/4, Thaw, Follower, Other)},
		Calls: []Expectation{
			at(Leader, Put, ok).within(Election/4, Election/4+4*Heartbeat),
			at(Leader, Get, ok).within(Election/4, Election/4+4*Heartbeat),
		},
	},
	{
		Name:   "leadership is handed over",
		Faults: []Fault{in(0, MoveTo, Follower)},
		Calls: slices.Concat(unharmed(Leader), unharmed(Follower), unharmed(Other), []Expectation{
			at(Leader, Put, ok), at(Follower, Put, ok), at(Other, Put, ok),
			// Reads at a member that has just heard of another leader may fail for that reason, by chance.
			at(Leader, Get, ok, leaderChanged), at(Follower, Get, ok, leaderChanged), at(Other, Get, ok, leaderChanged),
		}),
		Short: true,
	},
}
