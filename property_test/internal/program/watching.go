package program

import (
	"context"
	"slices"

	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/kv"
)

// watcher is a watch of a program. Resume begins it again.
type watcher struct {
	*events.Follower
	step  int // the step that gets the answer of the current watch
	r     kv.Range
	after kv.Revision
	// running is set when the watch has delivered something or has ended, so the store has begun it.
	running bool
	late    bool // something that is due has not come in time
}

// await waits until the watch is complete up to a revision, or has ended.
func (w *watcher) await(ctx context.Context, revision kv.Revision) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if w.Await(ctx, revision) != nil && ctx.Err() != nil {
		w.late = true
	}
}

// stop ends the watch, unless it has ended, and returns what it has yielded.
func (w *watcher) stop() events.Segment { return w.Follower.Stop()[0] }

func (w watch) do(r *run) string {
	r.watchers = append(r.watchers, r.watch(w.r, r.of(w.after)))
	return ""
}

func (r *run) watch(keys kv.Range, after kv.Revision) *watcher {
	return &watcher{Follower: events.FollowOnce(r.ctx, r.store, keys, after), step: r.step, r: keys, after: after}
}

func (s resume) do(r *run) string {
	if s.watch >= len(r.watchers) {
		return "there is no such watch"
	}
	old := r.watchers[s.watch]
	r.settle(old)
	r.rest()
	watched := old.stop()
	r.answers[old.step] = r.watched(old, watched)

	var revisions []kv.Revision
	for _, event := range watched.Events() {
		revisions = append(revisions, event.ModRevision)
	}
	revisions = slices.Compact(revisions)
	after := old.after
	if read := len(revisions) - s.back; read > 0 {
		after = revisions[read-1]
	}
	r.watchers[s.watch] = r.watch(old.r, after)
	return ""
}

// due returns the revision of the last change that w has to deliver, or zero if there is none.
func (r *run) due(w *watcher) kv.Revision {
	for _, change := range slices.Backward(r.changes) {
		if change.at > w.after && w.r.Contains(change.key) {
			return change.at
		}
	}
	return 0
}

// settle waits until each of watchers is running and has delivered everything that is due. If nothing is due to a watcher, it cannot be
// seen to run. Then settle changes a key in its range.
//
// What settle does depends only on the program and its answers. Otherwise it would not be the same on all stores.
func (r *run) settle(watchers ...*watcher) {
	var unknown []*watcher
	for _, w := range watchers {
		if !r.catchUp(w) {
			unknown = append(unknown, w)
		}
	}
	r.mark(unknown)
	for _, w := range unknown {
		r.catchUp(w)
	}
}

// catchUp waits until w has delivered everything that is due, and reports whether w is known to run.
func (r *run) catchUp(w *watcher) bool {
	if due := r.due(w); due > 0 {
		w.await(r.ctx, due)
		w.running = true
	}
	return w.running
}

// bringUpTo settles the watches that a compaction at the given revision might overtake.
func (r *run) bringUpTo(at kv.Revision) {
	var behind []*watcher
	for _, w := range r.watchers {
		if w.after+1 < at {
			behind = append(behind, w)
		}
	}
	r.settle(behind...)
}

// finish gives every watch a last event, and ends the watches. A wrong event would come before the last event, and would be seen.
func (r *run) finish() {
	var furthest kv.Revision
	for _, w := range r.watchers {
		furthest = max(furthest, w.after)
	}
	for r.mark(r.watchers) && r.now <= furthest {
	}
	r.settle(r.watchers...)
	r.rest()
	for _, w := range r.watchers {
		r.answers[w.step] = r.watched(w, w.stop())
	}
}

// mark changes a key in the range of each of watchers, all in one commit, and reports whether it did. An
// invalid range has no keys.
func (r *run) mark(watchers []*watcher) bool {
	var writes []Write
	marked := make(map[string]bool)
	for _, w := range watchers {
		from, _, _ := w.r.Bounds()
		if from == "" {
			from = "\x00"
		}
		if w.r.Contains(from) && !marked[from] {
			marked[from] = true
			writes = append(writes, Put(from, "mark"))
		}
	}
	if len(writes) == 0 {
		return false
	}
	before := r.now
	revision, err := r.commit(writes)
	r.wrote(revision, err, writes...)
	return r.now > before
}
