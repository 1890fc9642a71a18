package server

import (
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/watchkv/watchkv/internal/mvcc"
)

// State is what the changes in a cluster's log have made. All members of a cluster share it. It has the newest state, and so
// much of the past that each member can answer as of the place in the log up to which it has applied changes.
type State struct {
	mu      sync.Mutex // never held while waiting
	data    *mvcc.Store
	leases  map[int64]*lease
	alarms  alarms
	auth    auth
	hashes  []kvHash           // of the last compactions, oldest first
	marks   []mark             // in order; the first is at or before the place of every member
	servers map[uint64]*Server // those that run, by member
	places  map[uint64]uint64  // how far each member has applied the log, running or not
}

// mark is what a change in the log has made of the revisions.
type mark struct {
	index               uint64
	revision, compacted int64
}

// NewState returns the state of a new cluster, which begins at a revision. Only if that is 1, nothing is compacted.
func NewState(revision int64) *State {
	st := &State{
		data:    mvcc.New(true),
		leases:  make(map[int64]*lease),
		auth:    newAuth(),
		servers: make(map[uint64]*Server),
		places:  make(map[uint64]uint64),
	}
	if revision > 1 {
		st.data.Revision, st.data.Compacted = revision, revision
	}
	st.marks = []mark{{0, st.data.Revision, st.data.Compacted}}
	return st
}

// Copy returns a state that may be changed independently of st. It has no members, and its log begins anew: it is what a
// backup holds, and what is restored from one.
func (st *State) Copy() *State {
	st.mu.Lock()
	defer st.mu.Unlock()
	c := NewState(1)
	c.data = st.data.Copy()
	c.data.Index()
	for id, l := range st.leases {
		c.leases[id] = l.copy()
	}
	c.alarms, c.auth, c.hashes = st.alarms.copy(), st.auth.copy(), slices.Clone(st.hashes)
	c.marks = []mark{{0, c.data.Revision, c.data.Compacted}}
	return c
}

// Revision returns the revision of the last change.
func (st *State) Revision() int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.data.Revision
}

// apply has a change done, and notes what it has made of the revisions.
func (st *State) apply(index uint64, change func(index uint64)) {
	st.mu.Lock()
	defer st.mu.Unlock()
	change(index)
	last := st.marks[len(st.marks)-1]
	if last.revision != st.data.Revision || last.compacted != st.data.Compacted {
		st.marks = append(st.marks, mark{index, st.data.Revision, st.data.Compacted})
	}
}

// viewAt returns the state as of a place in the log. Holds mu.
func (st *State) viewAt(index uint64) view {
	last := st.marks[len(st.marks)-1]
	if last.index > index {
		i := sort.Search(len(st.marks), func(i int) bool { return st.marks[i].index > index })
		last = st.marks[max(i-1, 0)]
	}
	return view{st.data, last.revision, last.compacted}
}

// applied notes how far a member has applied the log, and forgets what no member needs any more. Holds mu.
func (st *State) applied(member uint64, index uint64) {
	st.places[member] = max(st.places[member], index)
	for _, place := range st.places {
		index = min(index, place)
	}
	i := sort.Search(len(st.marks), func(i int) bool { return st.marks[i].index > index })
	if i > 1 {
		st.marks = append(st.marks[:0], st.marks[i-1:]...)
	}
	st.data.Drop(st.marks[0].compacted, math.MaxInt)
}

// Forget removes a member for good, so that nothing is kept for it.
func (st *State) Forget(member uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.places, member)
}

// view is the keys as they were at a revision, which was then the newest one.
type view struct {
	data                *mvcc.Store
	revision, compacted int64
}
