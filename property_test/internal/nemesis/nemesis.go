// Package nemesis makes the faults that can happen to a cluster.
package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// A Fault is a kind of fault.
type Fault string

// The faults of members. Each happens to any one member, or to the leader.
const (
	Kill      Fault = "kill"      // SIGKILL, and a new start
	Freeze    Fault = "freeze"    // SIGSTOP, and SIGCONT
	Partition Fault = "partition" // from all other members, not from clients
	Move      Fault = "move"      // the leader transfers its leadership to the member
)

// The faults of the network between clients and a member.
const (
	Swallow Fault = "swallow" // loses packets, in both directions or in one
	Forget  Fault = "forget"  // makes the existing connections silent
	Reset   Fault = "reset"   // breaks the existing connections
	Slow    Fault = "slow"    // makes the network slow
)

// OfMembers and OfNetwork are the faults of each kind.
var (
	OfMembers = []Fault{Kill, Freeze, Partition, Move}
	OfNetwork = []Fault{Swallow, Forget, Reset, Slow}
)

// A Nemesis makes faults in a cluster, one at a time, so a majority can always work. It can freeze members only in memory, or if each
// member has its own process.
type Nemesis struct {
	// Mended, if it is set, is called after a fault of the network to a member. It sets the properties of the network without faults.
	Mended func(member int)
	// Long, if it is set, is how long one fault in longOneIn lasts, on average. It should be longer than the time-outs that a fault may trigger.
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

// New returns a Nemesis of cluster that makes the given faults. calm is the average rest between two faults. The seed decides
// which faults it makes. It does not decide when they happen, and at which member a fault of the leader happens.
func New(cluster etcdmem.AnyCluster, faults []Fault, seed uint64, calm time.Duration) *Nemesis {
	return &Nemesis{
		cluster: cluster,
		faults:  faults,
		random:  rand.New(rand.NewPCG(seed, 0)),
		counts:  make(map[Fault]int),
		calm:    calm,
	}
}

// Done returns the faults that were made, in order.
func (n *Nemesis) Done() []string { return n.done }

// Counts returns how many times each fault was made.
func (n *Nemesis) Counts() map[Fault]int { return n.counts }

// Run makes faults until ctx is done. Then it lets the cluster recover, and returns when all members serve and follow one leader. It makes
// all faults once, in a random order, then all again in another order, and so on.
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

// wait waits for a random time with the given average, and reports whether ctx has not ended.
func (n *Nemesis) wait(ctx context.Context, about time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(about/2 + time.Duration(n.random.Int64N(int64(about)))):
		return true
	}
}

// The average time of a fault. It is about as long as an election, so some faults lead to a new leader and some do not.
const faultTime = 600 * time.Millisecond

// longOneIn says which part of the faults lasts Long.
const longOneIn = 8

// patience limits what must succeed.
const patience = time.Minute

// last waits while a fault lasts. That is about the time about, unless the fault is a long one.
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

// harmNetwork makes a fault of the network between clients and a member, for some time.
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
