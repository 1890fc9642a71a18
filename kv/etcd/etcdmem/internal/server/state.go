package server

import (
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// State is the result of the changes in a cluster's log. All members of a cluster share it. It has the newest state, and enough of the past
// for each member to answer from the state at the place in the log up to which it has applied changes.
type State struct {
	mu      sync.Mutex // never held while waiting
	data    *mvcc.Store
	leases  *leases
	alarms  alarms
	auth    *auth
	marks   []mark             // in order; the first is at or before the place of every member
	last    uint64             // the place of the last change
	effects []effect           // of the changes that some member has yet to apply, in order
	servers map[uint64]*Server // the running servers, by member
	places  map[uint64]uint64  // how far each member has applied the log, running or not
}

// mark is the state at a place in the log.
type mark struct {
	index uint64
	made
}

// made is the state without the keys. What it points to does not change, as long as there is more than one member.
type made struct {
	revision, compacted int64
	auth                *auth
	leases              *leases
}

// NewState returns the state of a new cluster that begins at a revision. If the revision is 1, nothing is compacted. Otherwise everything
// before the revision is compacted.
func NewState(revision int64) *State {
	st := &State{
		data:    mvcc.New(true),
		leases:  new(leases),
		auth:    newAuth(),
		servers: make(map[uint64]*Server),
		places:  make(map[uint64]uint64),
	}
	if revision > 1 {
		st.data.Revision, st.data.Compacted = revision, revision
	}
	st.marks = []mark{{0, st.made()}}
	return st
}

// Copy returns a state that may be changed independently of st. It has no members, and its log is empty. A backup holds such a copy, and so
// does a cluster that is restored from a backup.
func (st *State) Copy() *State {
	st.mu.Lock()
	defer st.mu.Unlock()
	c := NewState(1)
	c.data = st.data.Copy()
	c.data.Index()
	st.leases.Scan(func(id int64, l *lease) bool {
		c.leases.Set(id, l.copy())
		return true
	})
	c.alarms, c.auth = st.alarms.copy(), st.auth.copy()
	c.marks = []mark{{0, c.made()}}
	return c
}

// Revision returns the revision of the last change.
func (st *State) Revision() int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.data.Revision
}

// made returns the newest state without the keys.
func (st *State) made() made {
	return made{st.data.Revision, st.data.Compacted, st.auth, st.leases}
}

// apply runs a change, and notes the state after it.
func (st *State) apply(index uint64, change func(index uint64)) {
	st.mu.Lock()
	defer st.mu.Unlock()
	change(index)
	st.last = index
	if now := st.made(); now != st.marks[len(st.marks)-1].made {
		st.marks = append(st.marks, mark{index, now})
	}
}

// viewAt returns the state at a place in the log. The caller holds mu.
func (st *State) viewAt(index uint64) view {
	last := st.marks[len(st.marks)-1]
	if last.index > index {
		i := sort.Search(len(st.marks), func(i int) bool { return st.marks[i].index > index })
		last = st.marks[max(i-1, 0)]
	}
	return view{st.data, last.made}
}

// applied notes how far a member has applied the log. It drops the past that no member needs any more. The caller holds mu.
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
	st.effects = slices.Delete(st.effects, 0, len(st.effects)-len(st.after(index)))
}

// Forget removes a member for ever. The State keeps no past for it any more.
func (st *State) Forget(member uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.places, member)
}

// changeLeases returns the leases for a change. The members that have not applied the change still see the leases as they were.
func (st *State) changeLeases() *leases {
	if len(st.places) > 1 {
		st.leases = st.leases.Copy()
	}
	return st.leases
}

// changeAuth is called before a change of users, roles and permissions. The members that have not applied the change still see these as they
// were.
func (st *State) changeAuth() { st.auth = st.auth.copy() }

// effect is what a change does in the process of a member that applies it. What the change does to the data is in the [State].
type effect struct {
	index uint64
	do    func(s *Server)
}

// after returns the effects of the changes after a place in the log.
func (st *State) after(index uint64) []effect {
	return st.effects[sort.Search(len(st.effects), func(i int) bool { return st.effects[i].index > index }):]
}

// view is the state at a place in the log.
type view struct {
	data *mvcc.Store
	made
}
