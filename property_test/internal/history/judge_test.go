package history

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// story returns a correct history: two keys, written by one client after the other, and two watches. Time passes between two operations.
func story() *Run {
	r := &Run{Log: Log{After: 1, Until: 7, Range: kv.Prefix("/"), Events: []kv.Event{
		put("/a", "1", 2, 2, 1),
		put("/a", "2", 2, 3, 2),
		put("/a", "3", 2, 4, 3), put("/b", "3b", 4, 4, 1),
		deletion("/b", 5),
		put("/b", "4", 6, 6, 1),
		put("/a", "end", 2, 7, 4),
	}}}
	for _, o := range []Operation{
		{Writes: []kv.Op{kv.PutOp("/a", []byte("1"), kv.IfAbsent())}, Revision: 2},
		{Writes: []kv.Op{kv.PutOp("/a", []byte("x"), kv.IfAbsent())}, Outcome: Conflict},
		{Range: kv.Key("/a"), Revision: 2, Entries: []kv.Entry{entry("/a", "1", 2, 2, 1)}},
		{Writes: []kv.Op{kv.PutOp("/a", []byte("2"), kv.IfRevision(2))}, Revision: 3},
		{Writes: []kv.Op{kv.PutOp("/a", []byte("3")), kv.PutOp("/b", []byte("3b"))}, Revision: 4},
		{Range: kv.Prefix("/"), Revision: 4, Entries: []kv.Entry{entry("/a", "3", 2, 4, 3), entry("/b", "3b", 4, 4, 1)}},
		{Writes: []kv.Op{kv.DeleteOp("/b")}, Revision: 5},
		{Writes: []kv.Op{kv.DeleteOp("/b")}, Revision: 5}, // there is nothing to delete
		{Writes: []kv.Op{kv.PutOp("/b", []byte("4"))}, Outcome: Unknown},
		{Writes: []kv.Op{kv.PutOp("/b", []byte("5"))}, Outcome: Unknown}, // never happens
		{Range: kv.Key("/b"), Revision: 6, Entries: []kv.Entry{entry("/b", "4", 6, 6, 1)}},
		{Writes: []kv.Op{kv.PutOp("/a", []byte("end"))}, Revision: 7},
	} {
		r.then(o)
	}
	r.Watches = []Watch{
		{Name: "all", Range: kv.Prefix("/"), Segments: []Segment{
			{After: 1, Batches: []kv.Batch{
				{Revision: 2, Events: r.Log.Events[:1]},
				{Revision: 4, Events: r.Log.Events[1:4]},
				{Revision: 4},
			}},
			{After: 4, Err: kv.ErrUnavailable},
			{After: 4, Batches: []kv.Batch{
				{Revision: 5, Events: r.Log.Events[4:5]},
				{Revision: 6, Events: r.Log.Events[5:6]},
				{Revision: 7, Events: r.Log.Events[6:7]},
			}},
		}},
		{Name: "one", Range: kv.Key("/b"), Segments: []Segment{
			{After: 1, Batches: []kv.Batch{
				{Revision: 3},
				{Revision: 5, Events: []kv.Event{r.Log.Events[3], r.Log.Events[4]}},
				{Revision: 6, Events: r.Log.Events[5:6]},
				{Revision: 7},
			}},
		}},
	}
	return r
}

// then adds an operation after all others.
func (r *Run) then(o Operation) {
	o.Call = time.Duration(2 * len(r.Operations))
	o.Return = o.Call + 1
	r.Operations = append(r.Operations, o)
}

func entry(key, value string, create, mod kv.Revision, version int64) kv.Entry {
	return kv.Entry{Key: key, Value: []byte(value), CreateRevision: create, ModRevision: mod, Version: version}
}

func put(key, value string, create, mod kv.Revision, version int64) kv.Event {
	return kv.Event{Entry: entry(key, value, create, mod, version)}
}

func deletion(key string, rev kv.Revision) kv.Event {
	return kv.Event{Type: kv.EventDelete, Entry: kv.Entry{Key: key, ModRevision: rev}}
}

func TestRightHistoriesAreAccepted(t *testing.T) {
	for name, change := range map[string]func(r *Run){
		"as it is":  func(*Run) {},
		"one empty": func(r *Run) { *r = Run{} },
		"a deletion of unknown outcome that happened": func(r *Run) { r.Operations[6].Outcome = Unknown; r.drop(7) },
		"a deletion of unknown outcome that was seen before the next found nothing": func(r *Run) {
			r.Operations[6].Outcome = Unknown
			at := r.Operations[6].Return
			r.Operations = append(r.Operations, Operation{Range: kv.Key("/b"), Revision: 5, Call: at, Return: at})
		},
		"a conflict after a deletion of unknown outcome, and before the next found nothing": func(r *Run) {
			r.Operations[6].Outcome = Unknown
			at := r.Operations[6].Return
			r.Operations = append(r.Operations, Operation{
				Writes: []kv.Op{kv.PutOp("/b", []byte("y"), kv.IfRevision(4))}, Outcome: Conflict, Call: at, Return: at,
			})
		},
		"a conflict with a write that came between": func(r *Run) {
			r.then(Operation{Writes: []kv.Op{kv.PutOp("/a", []byte("y"), kv.IfRevision(4))}, Outcome: Conflict})
		},
		"operations at the same time, in any order": func(r *Run) {
			for i := range r.Operations {
				r.Operations[i].Call, r.Operations[i].Return = 0, 1
			}
			slices.Reverse(r.Operations)
		},
		"a write of unknown outcome that happens after all is over": func(r *Run) {
			late := put("/b", "5", 6, 8, 2)
			last := &r.Watches[1].Segments[0]
			last.Batches = append(last.Batches, kv.Batch{Revision: 8, Events: []kv.Event{late}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := story()
			change(r)
			if err := r.Judge(); err != nil {
				t.Error(err)
			}
		})
	}
}

func (r *Run) drop(operation int) { r.Operations = slices.Delete(r.Operations, operation, operation+1) }

// wrong is a history with one mistake.
type wrong struct {
	name   string
	change func(r *Run)
	want   error
}

// check checks that the judge finds each mistake.
func check(t *testing.T, ways []wrong) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			r := story()
			w.change(r)
			err := r.Judge()
			if !errors.Is(err, w.want) {
				t.Errorf("the judge found %v, want %v", err, w.want)
			}
		})
	}
}

// Two deletions of unknown outcome may each have made any of many deletions of the log. Porcupine tries every set of those that are possible at
// the same time.
func TestManyDeletionsOfUnknownOutcomeAreJudged(t *testing.T) {
	r := &Run{Log: Log{After: 1, Range: kv.Prefix("/")}}
	rev := kv.Revision(1)
	for i := range 20 {
		value := fmt.Sprint(i)
		rev++
		r.then(Operation{Writes: []kv.Op{kv.PutOp("/a", []byte(value))}, Revision: rev})
		r.Log.Events = append(r.Log.Events, put("/a", value, rev, rev, 1))
		if i == 0 {
			for range 2 {
				r.then(Operation{Writes: []kv.Op{kv.DeleteOp("/a")}, Outcome: Unknown})
			}
		}
		r.then(Operation{Range: kv.Key("/a"), Revision: rev, Entries: []kv.Entry{entry("/a", value, rev, rev, 1)}})
		rev++
		r.then(Operation{Writes: []kv.Op{kv.DeleteOp("/a")}, Revision: rev})
		r.Log.Events = append(r.Log.Events, deletion("/a", rev))
	}
	r.Log.Until = rev
	if err := r.Judge(); err != nil {
		t.Error(err)
	}
}

func TestWrongAnswersAreRejectedByName(t *testing.T) {
	check(t, []wrong{
		{"stale read", func(r *Run) {
			r.then(Operation{Range: kv.Key("/a"), Revision: 2, Entries: []kv.Entry{entry("/a", "1", 2, 2, 1)}})
		}, ErrLinearizable},
		{"stale read that claims to be new", func(r *Run) {
			r.then(Operation{Range: kv.Key("/a"), Revision: 7, Entries: []kv.Entry{entry("/a", "3", 2, 4, 3)}})
		}, ErrOneRevision},
		{"a read from before a write to another key", func(r *Run) {
			r.then(Operation{Range: kv.Key("/b"), Revision: 6, Entries: []kv.Entry{entry("/b", "4", 6, 6, 1)}})
		}, ErrLinearizable},
		{"half a commit read", func(r *Run) { r.Operations[5].Entries = r.Operations[5].Entries[:1] }, ErrOneRevision},
		{"a deleted key read", func(r *Run) {
			r.Operations[7] = Operation{
				Range: kv.Key("/b"), Revision: 5, Entries: []kv.Entry{entry("/b", "3b", 4, 4, 1)},
				Call: r.Operations[7].Call, Return: r.Operations[7].Return,
			}
		}, ErrOneRevision},
		{"a key read that no client wrote", func(r *Run) {
			r.then(Operation{Range: kv.Prefix("/"), Revision: 7, Entries: []kv.Entry{entry("/z", "1", 2, 2, 1)}})
		}, ErrUnwritten},
		{"version wrong", func(r *Run) { r.Operations[2].Entries[0].Version = 2 }, ErrMetadata},
		{"create revision wrong", func(r *Run) { r.Operations[5].Entries[0].CreateRevision = 4 }, ErrMetadata},
		{"mod revision wrong", func(r *Run) { r.Operations[5].Entries[0].ModRevision = 3 }, ErrMetadata},
		{"a conflict without a reason", func(r *Run) {
			r.then(Operation{Writes: []kv.Op{kv.PutOp("/a", []byte("y"), kv.IfRevision(7))}, Outcome: Conflict})
		}, ErrConflict},
		{"a conflict before the deletion of unknown outcome that would have been its reason", func(r *Run) {
			at := r.Operations[6].Call
			r.Operations[6].Outcome = Unknown
			r.Operations = append(r.Operations, Operation{
				Writes: []kv.Op{kv.PutOp("/b", []byte("y"), kv.IfRevision(4))}, Outcome: Conflict, Call: at - 1, Return: at - 1,
			})
		}, ErrLinearizable},
		{"a write that was seen before it was begun", func(r *Run) {
			r.Operations[8].Call, r.Operations[8].Return = 100, 101
		}, ErrLinearizable},
		{"a deletion that was seen before anyone had begun one", func(r *Run) {
			at := r.Operations[6].Call
			r.drop(6)
			r.Operations = append(r.Operations, Operation{Range: kv.Key("/b"), Revision: 5, Call: at, Return: at})
		}, ErrLinearizable},
		{"a deletion that was seen before it was begun", func(r *Run) {
			r.Operations[6].Outcome = Unknown
			r.Operations[6].Call, r.Operations[6].Return = 100, 101
			r.drop(7) // otherwise this deletion could explain it
		}, ErrLinearizable},
		{"writes in another order than they were acknowledged", func(r *Run) {
			a, b := &r.Operations[3], &r.Operations[4]
			a.Call, a.Return, b.Call, b.Return = b.Call, b.Return, a.Call, a.Return
		}, ErrLinearizable},
	})
}

func TestWrongWritesAreRejectedByName(t *testing.T) {
	check(t, []wrong{
		{"lost update", func(r *Run) { r.Log.Events = slices.Delete(r.Log.Events, 1, 2) }, ErrLostWrite},
		{"lost deletion", func(r *Run) { r.Log.Events = slices.Delete(r.Log.Events, 4, 5) }, ErrLostWrite},
		{"half a commit happened", func(r *Run) { r.Log.Events = slices.Delete(r.Log.Events, 3, 4) }, ErrLostWrite},
		{"a commit of unknown outcome happened by half", func(r *Run) {
			r.Operations[4].Outcome = Unknown
			r.Log.Events = slices.Delete(r.Log.Events, 3, 4)
		}, ErrLostWrite},
		{"write twice", func(r *Run) {
			r.Log.Events = append(r.Log.Events, put("/a", "2", 2, 8, 5))
		}, ErrWrittenTwice},
		{"a write that no client made", func(r *Run) {
			r.Log.Events = append(r.Log.Events, put("/a", "z", 2, 8, 5))
		}, ErrUnwritten},
		{"a deletion that no client made", func(r *Run) { r.Log.Events = append(r.Log.Events, deletion("/b", 8)) }, ErrUnwritten},
		{"a refused write that happened", func(r *Run) {
			r.Log.Events = append(r.Log.Events, put("/a", "x", 2, 8, 5))
		}, ErrUnwritten},
		{"two winners of one condition", func(r *Run) {
			r.Operations[4].Writes[0].Conditions = []kv.Condition{kv.IfRevision(2)}
		}, ErrCondition},
		{"a deletion against its condition", func(r *Run) {
			r.Operations[6].Writes[0].Conditions = []kv.Condition{kv.IfRevision(3)}
			r.drop(7) // otherwise this deletion could explain it
		}, ErrCondition},
		{"the log goes back", func(r *Run) {
			r.Log.Events[0], r.Log.Events[1] = r.Log.Events[1], r.Log.Events[0]
		}, ErrOrdered},
		{"the log counts wrongly", func(r *Run) { r.Log.Events[1].Version = 3 }, ErrMetadata},
		{"the log has a key re-created that was not deleted", func(r *Run) { r.Log.Events[1].CreateRevision = 3 }, ErrMetadata},
	})
}
