package follow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// Store is what a [Log] writes to and reads from: a store without faults, or with those of a real cluster.
type Store interface {
	kv.Store
	kv.Writer
}

// Log writes one key, and knows what it has been. Each value is another number, so that a value identifies
// its write. No other writer may write the key, or a key that begins with it.
//
// What was acknowledged is known at once. What was not, and whether there was something to delete, is found out by
// [Log.Resolve] from the store's own history, against which all that was acknowledged is checked as well.
//
// All methods may be called concurrently, except that nothing may be written while the store is restored.
type Log struct {
	store Store
	key   string

	mu       sync.Mutex
	number   int                    // of the last value
	written  int                    // writes that were acknowledged
	unknown  int                    // writes that were not
	begun    map[string]State       // values that were sent and not yet found in the history
	deletes  int                    // deletions that were sent and not yet found there
	acked    map[kv.Revision]Update // acknowledged since resolved
	resolved kv.Revision            // the last epoch has all updates up to here
	epochs   []Epoch
	refused  bool
}

// Begin returns a Log of a key of a store, which knows what the key is now.
func Begin(ctx context.Context, store Store, key string) (*Log, error) {
	snapshot, err := store.Get(ctx, kv.Key(key))
	if err != nil {
		return nil, err
	}
	l := &Log{
		store: store, key: key, begun: map[string]State{}, acked: map[kv.Revision]Update{},
		resolved: snapshot.Revision, epochs: []Epoch{{}},
	}
	for _, e := range snapshot.Entries {
		l.number = int(snapshot.Revision) // past what an earlier Log may have written
		l.epochs[0].Updates = []Update{update(kv.Event{Entry: e})}
	}
	return l, nil
}

// Put writes the next value. Where it returns an error the write may or may not have happened, or happen yet.
func (l *Log) Put(ctx context.Context) error { return l.put(ctx, Good, 1) }

// PutBad writes a value that does not decode.
func (l *Log) PutBad(ctx context.Context) error { return l.put(ctx, Bad, 1) }

// putWanted writes the next value that passes the filter.
func (l *Log) putWanted(ctx context.Context) error { return l.put(ctx, Good, wantedEvery) }

func (l *Log) put(ctx context.Context, state State, multipleOf int) error {
	value := l.begin(state, multipleOf)
	revision, err := l.store.Put(ctx, l.key, []byte(value))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answeredLocked(revision, Update{Revision: revision, State: state, Value: value}, err)
	return err
}

func (l *Log) begin(state State, multipleOf int) (value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	l.number += (multipleOf - l.number%multipleOf) % multipleOf
	value = strconv.Itoa(l.number)
	if state == Bad {
		value = bad(l.number)
	}
	l.begun[value] = state
	return value
}

// Delete deletes the key. Where it returns an error that may or may not have happened, or happen yet.
func (l *Log) Delete(ctx context.Context) error {
	l.mu.Lock()
	l.deletes++
	l.mu.Unlock()
	revision, err := l.store.Delete(ctx, l.key)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answeredLocked(revision, Update{Revision: revision}, err)
	return err
}

func (l *Log) answeredLocked(revision kv.Revision, u Update, err error) {
	switch {
	case err != nil:
		l.unknown++
		return
	case u.State != Absent || l.acked[revision] == Update{}: // a deletion of nothing returns the revision of what was before it
		l.acked[revision] = u
	}
	l.written++
}

// Resolve finds out from the store what has become of all writes that have been answered, or given up, by now. An error
// that does not come from ctx is a broken guarantee of the store: what it acknowledged is not in its history, or
// what is there was not written.
func (l *Log) Resolve(ctx context.Context) (upTo kv.Revision, err error) {
	l.mu.Lock()
	after := l.resolved
	l.mu.Unlock()
	upTo, err = l.mark(ctx)
	if err != nil {
		return 0, err
	}
	events, err := l.read(ctx, after, upTo)
	if err != nil {
		return 0, err
	}
	return upTo, l.take(events, upTo)
}

// mark writes another key than the Log's. A watch of both passes its revision.
func (l *Log) mark(ctx context.Context) (revision kv.Revision, err error) {
	for {
		revision, err = l.store.Put(ctx, l.key+"/mark", nil)
		if err == nil || ctx.Err() != nil || !errors.Is(err, kv.ErrUnavailable) {
			return revision, err
		}
	}
}

// read returns what has happened after a revision, up to that of a mark.
func (l *Log) read(ctx context.Context, after, mark kv.Revision) ([]kv.Event, error) {
	var events []kv.Event
	for {
		err := errors.New("the watch ended without an error")
		var b kv.Batch
		for b, err = range l.store.Watch(ctx, kv.Prefix(l.key), after) {
			if err != nil {
				break
			}
			events = append(events, b.Events...)
			if after = b.Revision; after >= mark {
				return events, nil
			}
		}
		if ctx.Err() != nil || !errors.Is(err, kv.ErrUnavailable) {
			return nil, err
		}
	}
}

// take adds the store's own history up to a revision.
func (l *Log) take(events []kv.Event, upTo kv.Revision) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.epochs[len(l.epochs)-1]
	for _, ev := range events {
		if ev.Key != l.key || ev.ModRevision <= l.resolved || ev.ModRevision > upTo {
			continue
		}
		u := update(ev)
		if was, ok := l.begun[u.Value]; u.State != Absent && (!ok || was != u.State) || u.State == Absent && l.deletes == 0 {
			return fmt.Errorf("the store has %v in its history, which was not written", u)
		}
		if u.State == Absent {
			l.deletes--
		}
		delete(l.begun, u.Value)
		e.Updates = append(e.Updates, u)
	}
	l.resolved = max(l.resolved, upTo)
	for _, revision := range slices.Sorted(maps.Keys(l.acked)) {
		if revision > l.resolved {
			break
		}
		if u, is := l.acked[revision], e.at(revision); u != is && (u.State != Absent || is.State != Absent) {
			return fmt.Errorf("the store has acknowledged %v, and in its history the key is %v", u, is)
		}
		delete(l.acked, revision)
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

// Forget has the store forget its history up to now.
func (l *Log) Forget(ctx context.Context, compact func(context.Context, kv.Revision) error) error {
	upTo, err := l.Resolve(ctx)
	if err != nil {
		return err
	}
	l.Excuse(upTo)
	return compact(ctx, upTo)
}

// Excuse notes that the store says, truly or not, that its history before a revision is gone.
func (l *Log) Excuse(before kv.Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.epochs[len(l.epochs)-1]
	e.Forgotten = max(e.Forgotten, before)
}

// Lied notes that a stream has said that history is gone which is not, now.
func (l *Log) Lied(ctx context.Context) error {
	upTo, err := l.mark(ctx)
	if err == nil {
		l.Excuse(upTo + 2) // a watcher that has seen all may return that too
	}
	return err
}

// Dropped notes that streams lose events from now on.
func (l *Log) Dropped() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epochs[len(l.epochs)-1].Dropped = true
}

// Refuse notes that reads are refused from now on.
func (l *Log) Refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = true
}

// Restore has the store go back to an older state, by restore, which returns its revision. Nothing may be written until
// it returns.
func (l *Log) Restore(ctx context.Context, restore func(context.Context) (kv.Revision, error)) error {
	if _, err := l.Resolve(ctx); err != nil {
		return err
	}
	base, err := restore(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := &l.epochs[len(l.epochs)-1]
	l.epochs = append(l.epochs, Epoch{
		Base: base, Updates: slices.Clone(old.Updates[:old.index(base)]), Forgotten: old.Forgotten, Dropped: old.Dropped,
	})
	l.resolved = base
	return nil
}

// History returns what the key has been, as far as it is resolved.
func (l *Log) History() *History {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &History{Epochs: slices.Clone(l.epochs), Refused: l.refused}
	for i := range h.Epochs {
		h.Epochs[i].Updates = slices.Clone(h.Epochs[i].Updates)
	}
	return h
}

// Writes returns how many writes were acknowledged, and of how many the outcome was unknown.
func (l *Log) Writes() (acknowledged, unknown int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written, l.unknown
}
