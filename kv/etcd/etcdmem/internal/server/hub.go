package server

import (
	"cmp"
	"slices"
	"time"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

const (
	// syncPeriod is how often etcd sends missing changes to the watches that are behind.
	syncPeriod = 100 * time.Millisecond
	// syncAtOnce is how many of these watches it chooses each time.
	syncAtOnce = 512
)

// hub has the watches of one member, and delivers to them the changes that the member has applied. A watch that has got everything is
// synced. It gets each revision when the member applies it. Each time that the hub syncs, the other watches get up to 1,000 revisions each.
// The state's mutex guards the hub.
type hub struct {
	server   *Server
	now      view // what the synced watches have got
	synced   *mvcc.Index[*watch]
	unsynced map[*watch]struct{}
	timer    *time.Timer // set while there are unsynced watches
	stopped  bool
	made     int           // how many watches were made
	running  int           // how many watches run
	changed  chan struct{} // closed and set to nil when running changes; nil if no call waits
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

// settle puts a watch into the set of the synced watches, or of those that are behind. The watch is in no set.
func (h *hub) settle(w *watch) {
	if w.next <= h.now.revision {
		h.toUnsynced(w)
	} else {
		h.toSynced(w)
	}
}

// advance delivers to the synced watches the changes that their member has applied since the last call.
func (h *hub) advance(now view) {
	from := h.now.revision + 1
	h.now.compacted = max(h.now.compacted, now.compacted)
	if now.revision < from {
		return // nothing is new, or another call has advanced further
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

// tell offers to the streams of watches the responses that the watches hold. These are of the newest revision.
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

// wait makes the hub sync at its first tick at or after a time, unless a sync is already planned.
func (h *hub) wait(at time.Time) {
	if h.timer == nil && !h.stopped {
		h.timer = time.AfterFunc(h.server.ticks(syncPeriod, at), h.tick)
	}
}

// tick syncs, and syncs again while that makes watches synced: there may be too many watches for one sync.
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

// sync offers missing changes to watches that are behind. It ends the watches whose history is compacted.
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
				w.held.revision = w.next - 1
				w.state = watchHeld
				continue
			}
		}
		h.settle(w)
	}
}

// restore makes every watch continue from where it is as if it had just begun, because the member has got another member's state.
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
