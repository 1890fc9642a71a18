package members_test

import (
	"context"
	"math/rand/v2"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/members"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/scenarios"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/server"
)

// history records what a random program has seen.
type history struct {
	t       *testing.T
	cluster *members.Cluster

	mu      sync.Mutex
	place   map[int]uint64 // the index of each applied change
	last    uint64         // the index of the last applied change
	leaders map[uint64]uint64
	seen    map[int]server.Status // the status that each member's observer saw last
}

func (h *history) failf(format string, args ...any) { h.t.Helper(); h.t.Errorf(format, args...) }

// apply returns what change number n does.
func (h *history) apply(n int) func(uint64) {
	return func(index uint64) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if before, ok := h.place[n]; ok {
			h.failf("promised: a change is applied once\nhappened: change %d was applied at %d and at %d", n, before, index)
		}
		if index <= h.last {
			h.failf("promised: changes are applied in order\nhappened: a change was applied at %d after one at %d", index, h.last)
		}
		h.place[n], h.last = index, index
	}
}

func (h *history) committed() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// observe returns an observer of a member. It checks each status of the member.
func (h *history) observe(i int) func() {
	var before uint64
	var observing atomic.Bool
	return func() {
		if observing.Swap(true) {
			h.failf("promised: an observer is notified of one change at a time\nhappened: the observer of member %d was notified of two changes concurrently", i)
		}
		defer observing.Store(false)
		runtime.Gosched()
		s := h.cluster.Member(i).Status()
		h.mu.Lock()
		defer h.mu.Unlock()
		if s.Applied < before {
			h.failf("promised: a member never goes back\nhappened: member %d went from %d back to %d", i, before, s.Applied)
		}
		before = s.Applied
		h.seen[i] = s
		if s.Leader == 0 {
			return
		}
		if other, ok := h.leaders[s.Term]; ok && other != s.Leader {
			h.failf("promised: a term has one leader\nhappened: %d and %d led in term %d", other, s.Leader, s.Term)
		}
		h.leaders[s.Term] = s.Leader
	}
}

func TestNoFaultBreaksTheLog(t *testing.T) {
	programs := 300
	if testing.Short() {
		programs = 60
	}
	var committed, failed int
	for seed := range uint64(programs) {
		synctest.Test(t, func(t *testing.T) {
			c, f := random(t, seed)
			committed, failed = committed+c, failed+f
		})
		if t.Failed() {
			t.Fatalf("with the seed %d", seed)
		}
	}
	t.Logf("%d changes and reads succeeded, %d failed", committed, failed)
	if committed < 10*programs || failed < 2*programs {
		t.Error("the test itself: the programs met too few faults, or too many")
	}
}

// random plays a random program on three or five members.
func random(t *testing.T, seed uint64) (succeeded, failed int) {
	r := rand.New(rand.NewPCG(seed, 0))
	n := 3 + 2*r.IntN(2)
	w := newSimulated(t, n, seed)
	h := &history{t: t, cluster: w.Cluster, place: make(map[int]uint64), leaders: make(map[uint64]uint64), seen: make(map[int]server.Status)}
	defer w.Close()
	for i := range n {
		w.Member(i).OnChange(h.observe(i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var mu sync.Mutex
	count := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			succeeded++
		} else {
			failed++
		}
	}
	for i := range 4 {
		r := rand.New(rand.NewPCG(seed, uint64(i+1)))
		clients.Go(func() {
			for n := i; ctx.Err() == nil; n += 4 {
				count(h.client(ctx, r, n))
				time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
			}
		})
	}
	for range 25 {
		time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
		i, j := r.IntN(n), r.IntN(n)
		switch r.IntN(9) {
		case 0:
			w.Stop(i)
		case 1, 2:
			w.Start(i)
		case 3:
			w.Freeze(i)
		case 4:
			w.Thaw(i)
		case 5:
			w.Act(partition, []int{i})
		case 6:
			w.Cut(i, j)
		case 7:
			w.Act(heal, nil)
		case 8:
			if l, ok := w.Leader(); ok {
				go w.Member(l).MoveLeader(ctx, w.Member(i).ID())
			}
		}
	}
	w.Act(heal, nil)
	for i := range n {
		w.Thaw(i)
		w.Start(i)
	}
	h.converges(n)
	cancel()
	clients.Wait()
	synctest.Wait()
	for i := range n {
		if s := w.Member(i).Status(); !reflect.DeepEqual(h.seen[i], s) {
			t.Errorf("promised: an observer is notified of each change\nhappened: the observer of member %d saw %+v last, but the status is %+v", i, h.seen[i], s)
		}
	}
	return succeeded, failed
}

// client makes one change or read at a random member.
func (h *history) client(ctx context.Context, r *rand.Rand, n int) error {
	m := h.cluster.Member(r.IntN(h.cluster.Size()))
	if r.IntN(2) == 0 {
		before := h.committed()
		err := m.ReadIndex(ctx)
		if s := m.Status(); err == nil && s.Applied < before {
			h.failf("promised: a read sees what was committed before the read began\nhappened: member %d has applied %d of %d", m.ID(), s.Applied, before)
		}
		return err
	}
	err := m.Propose(ctx, h.apply(n))
	h.mu.Lock()
	place, ok := h.place[n]
	h.mu.Unlock()
	if s := m.Status(); err == nil && (!ok || s.Applied < place) {
		h.failf("promised: when Propose succeeds, the member has applied the change\nhappened: the change is at %d (applied: %v), and the member at %d", place, ok, s.Applied)
	}
	return err
}

// converges checks that all members agree some time after the faults have ended.
func (h *history) converges(n int) {
	time.Sleep(30 * time.Second) // enough for two elections and for a retry of each member's change
	leader, ok := h.cluster.Leader()
	if !ok {
		h.failf("promised: members that reach each other elect a leader\nhappened: after 30 s there is no leader")
	}
	for i := range n {
		if !isClosed(h.cluster.Member(i).Serving()) {
			h.failf("promised: a member that has a leader serves\nhappened: member %d does not serve", i)
		}
	}
	if err := h.cluster.Member((leader + 1) % n).ReadIndex(h.t.Context()); err != nil {
		h.failf("promised: a quiet cluster answers\nhappened: %v", err)
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// The seed decides who is elected when, and so what each call returns.
func TestASeedDecidesWhatHappens(t *testing.T) {
	transcript := func(seed uint64) (text string) {
		for _, s := range scenarios.All {
			synctest.Test(t, func(t *testing.T) {
				w := newSimulated(t, 3, seed)
				defer w.Close()
				for _, a := range s.Play(t, w) {
					text += a.String() + "\n"
				}
			})
		}
		return text
	}
	one := transcript(7)
	for range 3 {
		if two := transcript(7); two != one {
			t.Fatalf("two runs with one seed differ:\n%s\n%s", one, two)
		}
	}
	if transcript(8) == one {
		t.Error("two seeds give the same answers")
	}
}
