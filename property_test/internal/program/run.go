package program

import (
	"cmp"
	"context"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// patience limits how long a watch may take to deliver what is due. It passes only if something is broken.
const patience = 30 * time.Second

// Answers are the answers of a store to the steps of a program.
type Answers []string

// Run runs p on store, which is at the revision start. It returns the answers when nothing of p runs any more. After each step, and
// before it ends a watch, it calls rest. In a bubble, rest is [testing/synctest.Wait]. Then everything that a step has caused is over
// before the next step. So the same program always runs in the same way, even on a store that delivers too much.
func Run(ctx context.Context, store Store, start kv.Revision, p Program, rest func()) Answers {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{
		ctx:     ctx,
		rest:    rest,
		store:   store,
		start:   start,
		now:     start,
		last:    make(map[string]kv.Revision),
		live:    make(map[string]bool),
		answers: make(Answers, len(p)),
	}
	for i, step := range p {
		r.step = i
		r.answers[i] = step.do(r)
		rest()
	}
	r.finish()
	return r.answers
}

// run is a running program. It knows only what its store has answered.
type run struct {
	ctx     context.Context
	rest    func()
	store   Store
	start   kv.Revision
	now     kv.Revision            // the highest revision that a write has returned
	last    map[string]kv.Revision // the last change of each key
	live    map[string]bool        // the keys that exist
	changes []change               // of keys, in order of revision

	step     int // the number of the present step
	watchers []*watcher
	answers  Answers
}

type change struct {
	key string
	at  kv.Revision
}

func (w Write) do(r *run) string {
	if w.kind == kv.EventPut {
		revision, err := r.store.Put(r.ctx, w.key, []byte(w.value), r.conditions(w)...)
		return r.wrote(revision, err, w)
	}
	revision, err := r.store.Delete(r.ctx, w.key, r.conditions(w)...)
	return r.wrote(revision, err, w)
}

func (c commit) do(r *run) string {
	revision, err := r.commit(c.writes)
	return r.wrote(revision, err, c.writes...)
}

func (r *run) commit(writes []Write) (kv.Revision, error) {
	ops := make([]kv.Op, len(writes))
	for i, w := range writes {
		ops[i] = kv.Op{Type: w.kind, Key: w.key, Conditions: r.conditions(w)}
		if w.kind == kv.EventPut {
			ops[i].Value = []byte(w.value)
		}
	}
	return r.store.Commit(r.ctx, ops...)
}

func (r *run) conditions(w Write) []kv.Condition {
	conditions := make([]kv.Condition, len(w.conditions))
	for i, revision := range w.conditions {
		conditions[i] = kv.IfRevision(r.of(revision))
	}
	return conditions
}

// wrote notes what answered writes have changed, and returns the answer.
func (r *run) wrote(revision kv.Revision, err error, writes ...Write) string {
	if err != nil {
		return r.failure(err)
	}
	if revision > r.now {
		r.now = revision
		for _, w := range writes {
			if w.kind == kv.EventPut || r.live[w.key] {
				r.live[w.key] = w.kind == kv.EventPut
				r.last[w.key] = revision
				r.changes = append(r.changes, change{w.key, revision})
			}
		}
	}
	return r.relative(revision)
}

func (g get) do(r *run) string {
	snapshot, err := r.store.Get(r.ctx, g.r)
	if err != nil {
		return r.failure(err)
	}
	return r.snapshot(snapshot)
}

func (c compact) do(r *run) string {
	at := r.of(c.at)
	if at <= r.now {
		r.bringUpTo(at)
	}
	return cmp.Or(r.refusal(r.store.Compact(r.ctx, at)), "done")
}

func (progress) do(r *run) string {
	return cmp.Or(r.refusal(r.store.RequestProgress(r.ctx)), "done")
}
