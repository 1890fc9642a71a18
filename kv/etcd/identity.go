package etcd

import (
	"maps"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/kv"
)

// identity is what the answers of etcd show about the history that the Stores of a client read. Every answer names
// the cluster, a revision, a member and the raft term of that member. In one history the cluster never changes, and neither the
// revision nor the term of a member ever falls. So an answer that contradicts this
// proves that the history was replaced: the cluster was restored from a backup, or another cluster is at the
// address.
//
// Terms of different members are not compared. A member names the term of the last entry of raft's log that it has
// applied. A member that has caught up by a snapshot names its earlier term until the next entry.
//
// If a cluster was restored under its old identity and is already past the highest known revision, it cannot be distinguished from
// the old cluster.
type identity struct {
	mu      sync.Mutex
	current *history
	lost    int64 // the highest revision that was heard of in any history that was replaced
}

// history is the cluster from its creation or restore to the next restore. The fields below replaced are guarded by identity.mu.
type history struct {
	replaced chan struct{} // closed, once, when the history is found to be no longer etcd's
	cluster  uint64        // zero until an answer named it
	revision int64         // the highest of all answers
	terms    terms         // the highest that each member has named
	reached  reached       // the highest revision in each member's answers to requests
}

// terms are raft terms, by member. The map is replaced, never changed, because questions keep it.
type terms map[uint64]uint64

// reached are revisions, by member.
type reached map[uint64]int64

func newHistory() *history {
	return &history{replaced: make(chan struct{}), reached: make(reached)}
}

// question is what was known when a request was made. The answer to a linearizable request is never older
// than that, even if answers overtake one another.
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

// answered is called with the header of the answer, and returns the history that the answer belongs to. It returns nil if the
// history was replaced while the request was under way: then the answer may belong to the old one or to the new one.
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
	// A watch may be a moment ahead of the answers of its member, so only answers count.
	at := id.current.reached
	at[header.GetMemberId()] = max(at[header.GetMemberId()], header.GetRevision())
	return id.current
}

// opening is called before a watch is opened. The answer may come from a member that lags behind other members, but no member lags
// behind its own earlier answers.
func (id *identity) opening() (question, reached) {
	q := id.ask()
	id.mu.Lock()
	defer id.mu.Unlock()
	return q, maps.Clone(q.history.reached)
}

// opened is called with the header of the answer that a watch after a revision has begun, and reports whether both belong to the history
// of the question. A revision that only a replaced history has reached, as far as is known, belongs to that history.
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

// heard is called with each header of a watch that was opened under h, and reports whether the header belongs to h. A
// watch may be behind other answers, so only the cluster's identity counts.
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
