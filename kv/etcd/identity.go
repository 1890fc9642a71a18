package etcd

import (
	"maps"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/kv"
)

// identity is what the answers of etcd have told a Store about whose history it reads. Every answer names
// the cluster, a revision, and the member that gave it with its raft term. The cluster never changes in the
// life of one, the revision never falls, and neither does the term of a member, so an answer that says otherwise
// proves that the history was replaced: the cluster was restored from a backup, or another one stands behind the
// address.
//
// Terms of different members are not compared. The one that a member names is that of the last entry of raft's log it has
// applied; where it has caught up by a snapshot instead, it goes on naming the one from before until the next entry.
//
// A cluster restored under its old identity that is already past what the Store has seen cannot be told from
// the old one.
type identity struct {
	mu      sync.Mutex
	current *history
	lost    int64 // the highest revision that was heard of in any history that was replaced
}

// history is one life of the cluster. The fields below replaced are guarded by identity.mu.
type history struct {
	replaced chan struct{} // closed, once, when the history is found to be no longer etcd's
	cluster  uint64        // zero until an answer named it
	revision int64         // the highest that was heard of
	terms    terms         // the highest that each member has named
	reached  reached       // the highest revision that each member has answered a request at
}

// terms are raft terms, by member. They are replaced, never changed: those that a question has seen stay.
type terms map[uint64]uint64

// reached are revisions, by member.
type reached map[uint64]int64

func newHistory() *history {
	return &history{replaced: make(chan struct{}), reached: make(reached)}
}

// question is what was known when a request was made. The answer to a linearizable request is never older
// than that, however answers overtake one another.
type question struct {
	history  *history
	revision int64
	terms    terms
}

// now returns the history that etcd was last seen to have.
func (id *identity) now() *history {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.nowLocked()
}

func (id *identity) nowLocked() *history {
	if id.current == nil {
		id.current = newHistory()
	}
	return id.current
}

// ask is called before a linearizable request, a read or a write.
func (id *identity) ask() question {
	id.mu.Lock()
	defer id.mu.Unlock()
	h := id.nowLocked()
	return question{history: h, revision: h.revision, terms: h.terms}
}

// answered is called with the header of the answer, and returns the history the answer is of; nil where it was
// replaced while the request was under way, so that nobody can say which of the two that is.
func (id *identity) answered(q question, header *pb.ResponseHeader) *history {
	id.mu.Lock()
	defer id.mu.Unlock()
	if q.history != id.current {
		return nil
	}
	if id.isOther(header) || header.GetRevision() < q.revision || header.GetRaftTerm() < q.terms[header.GetMemberId()] {
		id.replace(header)
	} else {
		id.remember(header)
	}
	// What a watch delivers may be a moment ahead of what its member answers, so only answers count.
	at := id.current.reached
	at[header.GetMemberId()] = max(at[header.GetMemberId()], header.GetRevision())
	return id.current
}

// opening is called before a watch is opened. The answer may be of a member that lags behind others, but none lags
// behind itself.
func (id *identity) opening() (question, reached) {
	q := id.ask()
	id.mu.Lock()
	defer id.mu.Unlock()
	return q, maps.Clone(q.history.reached)
}

// opened is called with the header of the answer that a watch after a revision has begun, and reports whether both are of
// the history that it was opened under. A revision that only a replaced history has reached, as far as is known, is of that.
func (id *identity) opened(q question, before reached, after kv.Revision, header *pb.ResponseHeader) bool {
	id.mu.Lock()
	defer id.mu.Unlock()
	if q.history != id.current {
		return false
	}
	member := header.GetMemberId()
	if id.isOther(header) || header.GetRevision() < before[member] || header.GetRaftTerm() < q.terms[member] {
		id.replace(header)
		return false
	}
	id.remember(header)
	return int64(after) <= id.current.revision || int64(after) > id.lost
}

// heard is called with each header of a watch that was opened under h, and reports whether it is of h. What a
// watch hears may be older than what others have: only the cluster's name counts.
func (id *identity) heard(h *history, header *pb.ResponseHeader) bool {
	id.mu.Lock()
	defer id.mu.Unlock()
	if h != id.current {
		return false
	}
	if id.isOther(header) {
		id.replace(header)
		return false
	}
	id.remember(header)
	return true
}

func (id *identity) isOther(header *pb.ResponseHeader) bool {
	cluster := header.GetClusterId()
	return cluster != 0 && id.current.cluster != 0 && cluster != id.current.cluster
}

func (id *identity) remember(header *pb.ResponseHeader) {
	h := id.current
	if cluster := header.GetClusterId(); cluster != 0 {
		h.cluster = cluster
	}
	h.revision = max(h.revision, header.GetRevision())
	if member, term := header.GetMemberId(), header.GetRaftTerm(); term > h.terms[member] {
		known := maps.Clone(h.terms)
		if known == nil {
			known = make(terms)
		}
		known[member] = term
		h.terms = known
	}
}

func (id *identity) replace(header *pb.ResponseHeader) {
	close(id.current.replaced)
	id.lost = max(id.lost, id.current.revision)
	id.current = newHistory()
	id.remember(header)
}
