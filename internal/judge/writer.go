package judge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/kv"
)

// Store is what a [Writer] writes to and reads from. It has no faults, or those of a real cluster.
type Store interface {
	kv.Store
	kv.Writer
}

// Writer writes one key, and knows its history. Each value is a new number, so a value identifies its write. No other writer may write the
// key, or a key that begins with it.
//
// An acknowledged write is known at once. [Writer.Resolve] reads the store's history. From it the Writer learns the outcome of the other
// writes, and whether a deletion has deleted something. Resolve also checks that every acknowledged write is in the history.
//
// All methods may be called concurrently, except that nothing may be written while the store is restored.
type Writer struct {
	store Store
	key   string

	mu       sync.Mutex
	number   int                    // the number in the last value
	written  int                    // writes that were acknowledged
	unknown  int                    // writes that were not acknowledged
	begun    map[string]State       // values that were sent and not yet found in the history
	deletes  int                    // deletions that were sent and not yet found there
	acked    map[kv.Revision]Update // the updates that were acknowledged after resolved
	resolved kv.Revision            // the last epoch has all updates up to here
	epochs   []Epoch
	refused  bool
}

// NewWriter returns a Writer of a key of a store. It reads what the key is now.
func NewWriter(ctx context.Context, store Store, key string) (*Writer, error) {
	snapshot, err := store.Get(ctx, kv.Key(key))
	if err != nil {
		return nil, err
	}
	w := &Writer{
		store: store, key: key, begun: map[string]State{}, acked: map[kv.Revision]Update{},
		resolved: snapshot.Revision, epochs: []Epoch{{}},
	}
	for _, e := range snapshot.Entries {
		w.number = int(snapshot.Revision) // larger than the values of an earlier Writer
		w.epochs[0].Updates = []Update{update(kv.Event{Entry: e})}
	}
	return w, nil
}

// Put writes the next value. If it returns an error, the write may have happened, may not have happened, or may still happen.
func (w *Writer) Put(ctx context.Context) error { return w.put(ctx, Good, 1) }

// PutBad writes a value that does not decode.
func (w *Writer) PutBad(ctx context.Context) error { return w.put(ctx, Bad, 1) }

// putWanted writes the next value that passes the filter.
func (w *Writer) putWanted(ctx context.Context) error { return w.put(ctx, Good, wantedEvery) }

func (w *Writer) put(ctx context.Context, state State, multipleOf int) error {
	value := w.begin(state, multipleOf)
	revision, err := w.store.Put(ctx, w.key, []byte(value))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answeredLocked(revision, Update{Revision: revision, State: state, Value: value}, err)
	return err
}

func (w *Writer) begin(state State, multipleOf int) (value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.number++
	w.number += (multipleOf - w.number%multipleOf) % multipleOf
	value = strconv.Itoa(w.number)
	if state == Bad {
		value = bad(w.number)
	}
	w.begun[value] = state
	return value
}

// Delete deletes the key. If it returns an error, the deletion may have happened, may not have happened, or may still happen.
func (w *Writer) Delete(ctx context.Context) error {
	w.mu.Lock()
	w.deletes++
	w.mu.Unlock()
	revision, err := w.store.Delete(ctx, w.key)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answeredLocked(revision, Update{Revision: revision}, err)
	return err
}

func (w *Writer) answeredLocked(revision kv.Revision, u Update, err error) {
	switch {
	case err != nil:
		w.unknown++
		return
	case u.State != Absent || w.acked[revision] == Update{}: // a deletion of an absent key returns the revision of an earlier write
		w.acked[revision] = u
	}
	w.written++
}

// Resolve finds out from the store the outcome of all writes that have ended by now. An error that does not come from ctx is a broken
// guarantee of the store: an acknowledged write is not in its history, or its history has a write that no call has made.
func (w *Writer) Resolve(ctx context.Context) (upTo kv.Revision, err error) {
	w.mu.Lock()
	after := w.resolved
	w.mu.Unlock()
	upTo, err = w.mark(ctx)
	if err != nil {
		return 0, err
	}
	list, err := events.Read(ctx, w.store, kv.Prefix(w.key), after, upTo)
	if err != nil {
		return 0, err
	}
	return upTo, w.take(list, upTo)
}

// mark writes a different key. A watch of both keys delivers its revision.
func (w *Writer) mark(ctx context.Context) (revision kv.Revision, err error) {
	err = untilDone(ctx, func() error { revision, err = w.store.Put(ctx, w.key+"/mark", nil); return err })
	return revision, err
}

// take adds the store's history up to a revision.
func (w *Writer) take(list events.List, upTo kv.Revision) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &w.epochs[len(w.epochs)-1]
	for _, ev := range list {
		if ev.Key != w.key || ev.ModRevision <= w.resolved || ev.ModRevision > upTo {
			continue
		}
		u := update(ev)
		if was, ok := w.begun[u.Value]; u.State != Absent && (!ok || was != u.State) || u.State == Absent && w.deletes == 0 {
			return fmt.Errorf("the store's history has %v, which was not written", u)
		}
		if u.State == Absent {
			w.deletes--
		}
		delete(w.begun, u.Value)
		e.Updates = append(e.Updates, u)
	}
	w.resolved = max(w.resolved, upTo)
	for _, revision := range slices.Sorted(maps.Keys(w.acked)) {
		if revision > w.resolved {
			break
		}
		if u, is := w.acked[revision], e.at(revision); u != is && (u.State != Absent || is.State != Absent) {
			return fmt.Errorf("the store has acknowledged %v, but in its history the key is %v", u, is)
		}
		delete(w.acked, revision)
	}
	return nil
}

func update(ev kv.Event) Update {
	u := Update{Revision: ev.ModRevision}
	if ev.Type == kv.EventPut {
		u.Value, u.State = string(ev.Value), Good
		if _, err := strconv.Atoi(u.Value); err != nil {
			u.State = Bad
		}
	}
	return u
}

// Excuse notes that the store reports its history before a revision as gone. That may be false.
func (w *Writer) Excuse(before kv.Revision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &w.epochs[len(w.epochs)-1]
	e.Forgotten = max(e.Forgotten, before)
}

// Dropped notes that streams lose events from now on.
func (w *Writer) Dropped() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.epochs[len(w.epochs)-1].Dropped = true
}

// Refuse notes that reads are refused from now on.
func (w *Writer) Refuse() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = true
}

// Restore takes the store back to an older state. restore does that, and returns the revision of the older state. Nothing may be written
// until Restore returns.
func (w *Writer) Restore(ctx context.Context, restore func(context.Context) (kv.Revision, error)) error {
	if _, err := w.Resolve(ctx); err != nil {
		return err
	}
	base, err := restore(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	old := &w.epochs[len(w.epochs)-1]
	w.epochs = append(w.epochs, Epoch{
		Base: base, Updates: slices.Clone(old.Updates[:old.index(base)]), Forgotten: old.Forgotten, Dropped: old.Dropped,
	})
	w.resolved = base
	return nil
}

// History returns the history of the key, as far as it is resolved.
func (w *Writer) History() *History {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := &History{Epochs: slices.Clone(w.epochs), Refused: w.refused}
	for i := range h.Epochs {
		h.Epochs[i].Updates = slices.Clone(h.Epochs[i].Updates)
	}
	return h
}

// Writes returns the number of acknowledged writes and the number of the other writes.
func (w *Writer) Writes() (acknowledged, unknown int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written, w.unknown
}
