package server

import (
	"cmp"
	"slices"
	"time"

	"github.com/watchkv/watchkv/internal/mvcc"
)

const (
	// syncPeriod is how often etcd gives watches that are behind what they lack.
	syncPeriod = 100 * time.Millisecond
	// syncAtOnce is how many of them it chooses then.
	syncAtOnce = 512
)

// hub has the watches of one member and tells them what the member has applied. A watch that has been told everything is
// synced, and is told each revision as it comes. Others are given up to 1,000 revisions each time that the hub syncs. The
// state's mutex guards it.
type hub struct {
	server   *Server
	now      view // what the watches have been told of
	synced   *mvcc.Index[*watch]
	unsynced map[*watch]struct{}
	timer    *time.Timer // set while there are unsynced watches
	stopped  bool
	made     int           // how many watches there were
	running  int           // how many there are
	changed  chan struct{} // closed and forgotten when there is another number of them; nil if nobody waits
}

// begin starts the hub at what its member has applied.
func (h *hub) begin(now view) {
	h.now = now
	h.synced = mvcc.NewIndex[*watch]()
	h.unsynced = make(map[*watch]struct{})
}

// count adds to the number of running watches.
func (h *hub) count(n int) {
	h.running += n
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// nextChange returns a channel that is closed when the number of running watches changes.
func (h *hub) nextChange() <-chan struct{} {
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.changed
}

// add starts a watch.
func (h *hub) add(w *watch) {
	h.made++
	h.count(1)
	w.number = h.made
	if w.start == 0 || w.start > h.now.revision {
		w.next = max(w.start, h.now.revision+1)
		h.toSynced(w)
		return
	}
	w.next = w.start
	h.toUnsynced(w)
}

// remove ends a watch.
func (h *hub) remove(w *watch) {
	if w.state != watchEnded {
		h.count(-1)
	}
	h.leave(w)
	w.state, w.held = watchEnded, nil
}

// leave takes a watch out of the set that it is in.
func (h *hub) leave(w *watch) {
	switch w.state {
	case watchSynced:
		h.synced.Remove(w.keys, w)
	case watchUnsynced:
		delete(h.unsynced, w)
	}
}

func (h *hub) toSynced(w *watch) {
	w.state = watchSynced
	h.synced.Add(w.keys, w)
}

func (h *hub) toUnsynced(w *watch) {
	w.state = watchUnsynced
	h.unsynced[w] = struct{}{}
	h.wait(time.Now().Add(1))
}

// settle puts a watch that is in no set into the one for how far it is.
func (h *hub) settle(w *watch) {
	if w.next <= h.now.revision {
		h.toUnsynced(w)
	} else {
		h.toSynced(w)
	}
}

// advance tells the synced watches what their member has applied since.
func (h *hub) advance(now view) {
	from := h.now.revision + 1
	h.now.compacted = max(h.now.compacted, now.compacted)
	if now.revision < from {
		return // nothing is new, or another call has shown more already
	}
	var concerned []*watch
	var room [8]*mvcc.Group[*watch]
	h.now.data.Since(from, func(rec *mvcc.Record) bool {
		if rec.Modify != h.now.revision {
			h.tell(concerned)
			concerned = concerned[:0]
			if rec.Modify > now.revision {
				return false
			}
			h.now.revision = rec.Modify
		}
		for _, g := range h.synced.Find(rec.Key, room[:0]) {
			for _, w := range g.Watches {
				if w.next > rec.Modify {
					continue
				}
				if w.held == nil {
					w.held = &response{watch: w, revision: rec.Modify}
					concerned = append(concerned, w)
				}
				w.held.add(rec)
			}
		}
		return true
	})
	h.tell(concerned)
}

// tell gives watches the responses that they hold, which are about the revision that is the newest one.
func (h *hub) tell(concerned []*watch) {
	slices.SortFunc(concerned, func(a, b *watch) int { return cmp.Compare(a.number, b.number) })
	for _, w := range concerned {
		w.next = h.now.revision + 1
		if !w.stream.offer(w) {
			h.leave(w)
			w.state = watchHeld
		}
	}
}

// wait has the hub sync at the next of its ticks at or after a moment, if it is not to do so already.
func (h *hub) wait(at time.Time) {
	if h.timer == nil && !h.stopped {
		h.timer = time.AfterFunc(h.server.ticks(syncPeriod, at), h.tick)
	}
}

// tick syncs. If that has left less to do than there was, there were too many watches for one time.
func (h *hub) tick() {
	mu := &h.server.state.mu
	mu.Lock()
	defer mu.Unlock()
	if h.stopped {
		return
	}
	h.timer = nil
	for before := len(h.unsynced); before > 0; before = len(h.unsynced) {
		h.sync()
		if len(h.unsynced) == before {
			break
		}
	}
	if len(h.unsynced) > 0 {
		h.wait(time.Now().Add(1))
	}
}

// sync gives watches that are behind what they lack, or ends those whose history is gone.
func (h *hub) sync() {
	chosen := make([]*watch, 0, min(len(h.unsynced), syncAtOnce))
	for w := range h.unsynced {
		chosen = append(chosen, w)
	}
	slices.SortFunc(chosen, func(a, b *watch) int { return cmp.Compare(a.number, b.number) })
	for _, w := range chosen[:min(len(chosen), syncAtOnce)] {
		if w.next < h.now.compacted {
			if w.stream.offerCompacted(w, h.now.compacted) {
				h.remove(w)
			} else if h.server.config.Defects.CompactionForgetsSlow {
				h.leave(w)
				w.next = h.now.revision + 1
				h.settle(w)
			}
			continue
		}
		changes := mvcc.Changes{Until: h.now.revision}
		more := w.next // after a restore, this may be in the future
		for more != 0 && more <= h.now.revision && !changes.Full() {
			more = changes.Collect(h.now.data, w.keys, more)
		}
		if more > h.now.revision {
			more = 0
		}
		changes.Records = h.server.config.Defects.withoutForgotten(changes.Records, h.now.compacted)
		h.leave(w)
		if w.next <= h.now.revision || h.server.config.Defects.SnapshotWakesFuture {
			w.next = h.now.revision + 1
		}
		if more != 0 {
			w.next = more
		}
		if len(changes.Records) > 0 {
			w.held = &response{watch: w, revision: h.now.revision}
			for _, rec := range changes.Records {
				w.held.add(rec)
			}
			if !w.stream.offer(w) {
				w.state = watchHeld
				continue
			}
		}
		h.settle(w)
	}
}

// restore has every watch begin anew from where it is: the member's state has been replaced by that of another.
func (h *hub) restore() {
	var all []*watch
	for w := range h.synced.All() {
		all = append(all, w)
	}
	for _, w := range all {
		h.leave(w)
		h.toUnsynced(w)
	}
}

// stop ends the syncing.
func (h *hub) stop() {
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
}
