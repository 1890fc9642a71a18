package judge

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/kv"
)

// RangeStore is what a [RangeWriter] writes to.
type RangeStore interface {
	Store
	kv.Committer
}

// rangeKeys is the most keys that a range has.
const rangeKeys = 8

// RangeWriter writes the keys of a range, one at a time or several in one commit, and knows the history of the range. It is to a range
// what a [Writer] is to a key: each value is a new number, and [RangeWriter.Resolve] finds out the outcome of the writes that were not
// acknowledged.
type RangeWriter struct {
	store RangeStore
	name  string // the keys of the range begin with it and "/in/"

	mu       sync.Mutex
	random   *rand.Rand
	number   int             // the number in the last value
	written  int             // writes that were acknowledged
	unknown  int             // writes that were not acknowledged
	begun    map[string]bool // values that were sent and not yet found in the history
	deletes  int             // deletions that were sent and not yet found in the history
	acked    []acked         // the writes that were acknowledged after resolved
	resolved kv.Revision
	eras     []Era
	coming   int // how many eras are about to begin
	refused  bool
	dropped  bool
}

type acked struct {
	revision kv.Revision
	op       kv.Op
}

// NewRangeWriter returns a RangeWriter of the keys below name. The store must have none of them.
func NewRangeWriter(ctx context.Context, store RangeStore, name string, seed uint64) (*RangeWriter, error) {
	w := &RangeWriter{
		store: store, name: name, random: rand.New(rand.NewPCG(seed, 2)), begun: map[string]bool{},
		eras: []Era{{held: []held{{entries: map[string]kv.Entry{}}}}},
	}
	snapshot, err := store.Get(ctx, w.Range())
	if err == nil && len(snapshot.Entries) > 0 {
		err = fmt.Errorf("there are keys in %v already", w.Range())
	}
	w.resolved = snapshot.Revision
	return w, err
}

// Range returns the range that the writer writes.
func (w *RangeWriter) Range() kv.Range { return kv.Prefix(w.name + "/in/") }

func (w *RangeWriter) key(n int) string { return fmt.Sprintf("%s/in/%d", w.name, n) }

// Put writes the next value of some key. If it returns an error, the write may have happened, may not have happened, or may still happen.
func (w *RangeWriter) Put(ctx context.Context) error {
	return w.write(ctx, w.put(w.draw(rangeKeys), Good))
}

// PutBad writes a value that does not decode.
func (w *RangeWriter) PutBad(ctx context.Context) error {
	return w.write(ctx, w.put(w.draw(rangeKeys), Bad))
}

// Delete deletes some key.
func (w *RangeWriter) Delete(ctx context.Context) error {
	return w.write(ctx, kv.DeleteOp(w.key(w.draw(rangeKeys))))
}

// Commit puts and deletes several keys in one revision.
func (w *RangeWriter) Commit(ctx context.Context) error {
	var ops []kv.Op
	for n := range 2 + w.draw(rangeKeys-2) {
		if w.draw(3) == 0 {
			ops = append(ops, kv.DeleteOp(w.key(n)))
		} else {
			ops = append(ops, w.put(n, Good))
		}
	}
	return w.write(ctx, ops...)
}

// putKey puts a key until the store acknowledges a put.
func (w *RangeWriter) putKey(ctx context.Context, n int) error {
	return untilDone(ctx, func() error { return w.write(ctx, w.put(n, Good)) })
}

func (w *RangeWriter) draw(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.IntN(n)
}

func (w *RangeWriter) put(n int, state State) kv.Op {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.number++
	text := strconv.Itoa(w.number)
	if state == Bad {
		text = bad(w.number)
	}
	return kv.PutOp(w.key(n), []byte(text))
}

func (w *RangeWriter) write(ctx context.Context, ops ...kv.Op) error {
	w.mu.Lock()
	for _, op := range ops {
		if op.Type == kv.EventDelete {
			w.deletes++
		} else {
			w.begun[string(op.Value)] = true
		}
	}
	w.mu.Unlock()
	var revision kv.Revision
	var err error
	switch op := ops[0]; {
	case len(ops) > 1:
		revision, err = w.store.Commit(ctx, ops...)
	case op.Type == kv.EventDelete:
		revision, err = w.store.Delete(ctx, op.Key)
	default:
		revision, err = w.store.Put(ctx, op.Key, op.Value)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.unknown++
		return err
	}
	w.written++
	for _, op := range ops {
		w.acked = append(w.acked, acked{revision, op})
	}
	return nil
}

// Resolve finds out from the store the outcome of all writes that have ended by now, as [Writer.Resolve] does.
func (w *RangeWriter) Resolve(ctx context.Context) (upTo kv.Revision, err error) {
	w.mu.Lock()
	after := w.resolved
	w.mu.Unlock()
	upTo, err = w.mark(ctx)
	if err != nil {
		return 0, err
	}
	list, err := events.Read(ctx, w.store, kv.Prefix(w.name+"/"), after, upTo)
	if err != nil {
		return 0, err
	}
	return upTo, w.take(list, upTo)
}

// mark writes a key outside the range. A watch of both delivers its revision.
func (w *RangeWriter) mark(ctx context.Context) (revision kv.Revision, err error) {
	err = untilDone(ctx, func() error { revision, err = w.store.Put(ctx, w.name+"/in", nil); return err })
	return revision, err
}

// take adds the store's history up to a revision.
func (w *RangeWriter) take(list events.List, upTo kv.Revision) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &w.eras[len(w.eras)-1]
	for _, ev := range list.After(w.resolved).UpTo(upTo).In(w.Range()) {
		if last := e.last(); last.since < ev.ModRevision {
			e.held = append(e.held, held{ev.ModRevision, maps.Clone(last.entries)})
		}
		now := e.last().entries
		if ev.Type == kv.EventDelete {
			if w.deletes--; w.deletes < 0 {
				return fmt.Errorf("the store's history has a deletion of %q at revision %d that was not written", ev.Key, ev.ModRevision)
			}
			delete(now, ev.Key)
			continue
		}
		if text := string(ev.Value); !w.begun[text] {
			return fmt.Errorf("the store's history has a put of %q at revision %d that was not written", text, ev.ModRevision)
		}
		delete(w.begun, string(ev.Value))
		now[ev.Key] = ev.Entry
	}
	w.resolved = max(w.resolved, upTo)
	return w.honouredLocked(e)
}

// honouredLocked checks that every acknowledged write is in the history, with all its keys.
func (w *RangeWriter) honouredLocked(e *Era) error {
	for i, a := range w.acked {
		if a.revision > w.resolved {
			w.acked = slices.Clone(w.acked[i:])
			return nil
		}
		is, ok := e.at(a.revision).entries[a.op.Key]
		if a.op.Type == kv.EventDelete && ok || a.op.Type == kv.EventPut && (!ok || string(is.Value) != string(a.op.Value) || is.ModRevision != a.revision) {
			return fmt.Errorf("the store has acknowledged %v of %q at revision %d, but its history has %v there", a.op.Type, a.op.Key, a.revision, is)
		}
	}
	w.acked = nil
	return nil
}

// Excuse notes that the store reports its history before a revision as gone. That may be false.
func (w *RangeWriter) Excuse(before kv.Revision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &w.eras[len(w.eras)-1]
	e.Forgotten = max(e.Forgotten, before)
}

// Dropped notes that streams lose events from now on.
func (w *RangeWriter) Dropped() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped = true
}

// Refuse notes that reads are refused from now on.
func (w *RangeWriter) Refuse() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = true
}

// Restore takes the store back to an older state. restore does that, and returns the revision of the older state. Nothing may be written
// until Restore returns.
func (w *RangeWriter) Restore(ctx context.Context, restore func(context.Context) (kv.Revision, error)) error {
	if _, err := w.Resolve(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	w.coming = 1 // a watcher may notice the restore before restore returns
	w.mu.Unlock()
	base, err := restore(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.coming = 0
	old := &w.eras[len(w.eras)-1]
	w.eras = append(w.eras, Era{Base: base, Forgotten: old.Forgotten, held: slices.Clone(old.held[:old.index(base)+1])})
	w.resolved = base
	return nil
}

// History returns the history of the range, as far as it is resolved.
func (w *RangeWriter) History() *RangeHistory {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := &RangeHistory{Eras: slices.Clone(w.eras), Refused: w.refused}
	for i := range h.Eras {
		h.Eras[i].held = slices.Clone(h.Eras[i].held)
	}
	return h
}

// Writes returns how many writes were acknowledged, and how many were not.
func (w *RangeWriter) Writes() (acknowledged, unknown int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written, w.unknown
}

// now returns how many eras there are, and whether streams have lost events.
func (w *RangeWriter) now() (eras int, dropped bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.eras) + w.coming, w.dropped
}
