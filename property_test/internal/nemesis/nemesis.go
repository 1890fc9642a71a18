// Package nemesis does to a cluster whatever can happen to one.
package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// A Fault is a kind of harm.
type Fault string

// What a Nemesis does. Each is done to any one member, or to the leader.
const (
	Kill      Fault = "kill"      // SIGKILL, and a new start
	Freeze    Fault = "freeze"    // SIGSTOP, and SIGCONT
	Partition Fault = "partition" // from all other members, not from clients
	Move      Fault = "move"      // the leader hands over to the member
)

// What a Nemesis does to the network between clients and a member.
const (
	Swallow Fault = "swallow" // packets, of both directions or of one
	Forget  Fault = "forget"  // the connections that exist
	Reset   Fault = "reset"   // the connections that exist
	Slow    Fault = "slow"    // everything takes long
)

// OfMembers and OfNetwork are the faults of each kind.
var (
	OfMembers = []Fault{Kill, Freeze, Partition, Move}
	OfNetwork = []Fault{Swallow, Forget, Reset, Slow}
)

// A Nemesis harms a cluster, one fault at a time, so that there is always a majority that could work. Members can be frozen only in
// memory or if each has a process.
type Nemesis struct {
	// Mended, if it is set, is called after harm to the network to a member: what the network is like when it works.
	Mended func(member int)
	// Long, if it is set, is how long one fault in longOneIn lasts, on average: long enough for what waits a while before it gives up.
	Long time.Duration
	// Note, if it is set, is called for each fault when it begins and when it ends.
	Note func(text string)

	cluster etcdmem.AnyCluster
	faults  []Fault
	random  *rand.Rand
	done    []string
	counts  map[Fault]int
	calm    time.Duration
}

// New returns a Nemesis of cluster that does the given faults, and leaves the cluster alone for some time, on average, between two of
// them. What it does follows from the seed; when, and to which member if that is the leader, does not.
func New(cluster etcdmem.AnyCluster, faults []Fault, seed uint64, calm time.Duration) *Nemesis {
	return &Nemesis{
		cluster: cluster,
		faults:  faults,
		random:  rand.New(rand.NewPCG(seed, 0)),
		counts:  make(map[Fault]int),
		calm:    calm,
	}
}

// Done returns what was done, in order.
func (n *Nemesis) Done() []string { return n.done }

// Counts returns how often each fault was done.
func (n *Nemesis) Counts() map[Fault]int { return n.counts }

// Run harms the cluster until ctx is done, then lets it recover, and returns when all members serve and follow one
// leader. All faults are done in turn, in an order of their own in each turn.
func (n *Nemesis) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		for _, i := range n.random.Perm(len(n.faults)) {
			if !n.wait(ctx, n.calm) {
				break
			}
			if err := n.do(ctx, n.faults[i]); err != nil {
				return fmt.Errorf("nemesis: %w", err)
			}
		}
	}
	if err := n.recover(); err != nil {
		return fmt.Errorf("nemesis: recover: %w", err)
	}
	return nil
}

// wait waits for some time, on average, and reports whether ctx goes on.
func (n *Nemesis) wait(ctx context.Context, about time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(about/2 + time.Duration(n.random.Int64N(int64(about)))):
		return true
	}
}

// How long a fault lasts, on average: about as long as an election, so that at times there is a new leader and at
// times there is not.
const faultTime = 600 * time.Millisecond

// longOneIn says which part of the faults lasts Long.
const longOneIn = 8

// patience bounds what must succeed.
const patience = time.Minute

// last waits while a fault lasts, which is about so long, unless it is one of the long ones.
func (n *Nemesis) last(ctx context.Context, about time.Duration) {
	if n.Long != 0 && n.random.IntN(longOneIn) == 0 {
		about = n.Long
	}
	n.wait(ctx, about)
}

func (n *Nemesis) do(ctx context.Context, fault Fault) error {
	member := n.random.IntN(n.cluster.Size())
	if leader, ok := n.cluster.Leader(); ok && n.random.IntN(2) == 0 && fault != Move {
		member = leader
	}
	text := fmt.Sprintf("%s %d", fault, member)
	n.done = append(n.done, text)
	n.counts[fault]++
	n.note(text)
	defer n.note(text + " is over")
	switch fault {
	case Kill:
		n.cluster.Stop(member)
		n.last(ctx, faultTime)
		return n.restart(member)
	case Freeze:
		if err := n.cluster.Freeze(member); err != nil {
			return err
		}
		n.last(ctx, 2*faultTime)
		return n.cluster.Thaw(member)
	case Partition:
		n.cluster.Partition(member)
		n.last(ctx, 2*faultTime)
		n.cluster.Heal()
		return nil
	case Swallow, Forget, Reset, Slow:
		n.harmNetwork(ctx, fault, member)
		return nil
	default:
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := n.cluster.MoveLeader(limited, member); err != nil && ctx.Err() == nil {
			return err
		}
		return nil
	}
}

// harmNetwork does harm to the network between clients and a member, for some time.
func (n *Nemesis) harmNetwork(ctx context.Context, fault Fault, member int) {
	network := n.cluster.Network()
	switch fault {
	case Swallow:
		swallow := []func(...int){network.Swallow, network.SwallowRequests, network.SwallowAnswers}
		swallow[n.random.IntN(len(swallow))](member)
	case Forget:
		network.Forget(member)
	case Reset:
		network.Reset(member)
	case Slow:
		network.Delay(faultTime/4, member)
	}
	n.last(ctx, 2*faultTime)
	network.Mend(member)
	if n.Mended != nil {
		n.Mended(member)
	}
}

func (n *Nemesis) note(text string) {
	if n.Note != nil {
		n.Note(text)
	}
}

func (n *Nemesis) restart(member int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return n.cluster.Restart(ctx, member)
}

func (n *Nemesis) recover() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := n.cluster.WaitLeader(ctx)
	return err
}
