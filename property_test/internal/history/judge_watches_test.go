package history

import (
	"slices"
	"testing"

	"github.com/watchkv/watchkv/kv"
)

func TestWrongWatchesAreRejectedByName(t *testing.T) {
	all := func(f func(w *Watch)) func(r *Run) { return func(r *Run) { f(&r.Watches[0]) } }
	check(t, []wrong{
		{"reordered events", all(func(w *Watch) {
			b := &w.Segments[2].Batches
			(*b)[0], (*b)[1] = (*b)[1], (*b)[0]
		}), ErrOrdered},
		{"reordered events in a batch", all(func(w *Watch) {
			e := slices.Clone(w.Segments[0].Batches[1].Events)
			w.Segments[0].Batches[1].Events = []kv.Event{e[1], e[0], e[2]}
		}), ErrOrdered},
		{"a revision that goes back", all(func(w *Watch) { w.Segments[0].Batches[2].Revision = 3 }), ErrOrdered},
		{"duplicate event", all(func(w *Watch) {
			w.Segments[2].Batches = slices.Insert(w.Segments[2].Batches, 1, w.Segments[2].Batches[0])
		}), ErrUnique},
		{"duplicate event in a batch", all(func(w *Watch) {
			e := w.Segments[0].Batches[1].Events
			w.Segments[0].Batches[1].Events = []kv.Event{e[0], e[0], e[1], e[2]}
		}), ErrUnique},
		{"missing event", all(func(w *Watch) { w.Segments[2].Batches = slices.Delete(w.Segments[2].Batches, 1, 2) }), ErrComplete},
		{"missing half of a commit", all(func(w *Watch) {
			w.Segments[0].Batches[1].Events = w.Segments[0].Batches[1].Events[:2]
		}), ErrComplete},
		{"missing last event", all(func(w *Watch) { w.Segments[2].Batches = w.Segments[2].Batches[:2] }), ErrComplete},
		{"never begun", all(func(w *Watch) { w.Segments = nil }), ErrComplete},
		{"split commit", all(func(w *Watch) {
			e := w.Segments[0].Batches[1].Events
			w.Segments[0].Batches = []kv.Batch{
				w.Segments[0].Batches[0], {Revision: 4, Events: e[:2]}, {Revision: 4, Events: e[2:]},
			}
		}), ErrAtomic},
		{"bookmark ahead", func(r *Run) { r.Watches[1].Segments[0].Batches[0].Revision = 4 }, ErrBookmark},
		{"bookmark ahead of what never comes", func(r *Run) {
			s := &r.Watches[1].Segments[0]
			s.Batches = append(s.Batches[:2], kv.Batch{Revision: 7})
		}, ErrBookmark},
		{"a batch ahead of its events", all(func(w *Watch) { w.Segments[0].Batches[0].Revision = 3 }), ErrBookmark},
		{"event at or below after", all(func(w *Watch) {
			w.Segments = w.Segments[2:]
			w.Segments[0].Batches = slices.Insert(w.Segments[0].Batches, 0, kv.Batch{
				Revision: 4, Events: []kv.Event{put("/a", "3", 2, 4, 3), put("/b", "3b", 4, 4, 1)},
			})
		}), ErrAfter},
		{"begun again too late", all(func(w *Watch) { w.Segments[1].After = 5 }), ErrResumable},
		{"what was missed when begun again", all(func(w *Watch) {
			w.Segments[2].Batches = w.Segments[2].Batches[1:]
		}), ErrResumable},
		{"what comes again when begun again", all(func(w *Watch) {
			w.Segments[2].Batches = slices.Insert(w.Segments[2].Batches, 0, w.Segments[0].Batches[1])
		}), ErrResumable},
		{"outside the range", func(r *Run) {
			r.Watches[1].Segments[0].Batches[1].Events = r.Log.Events[2:5]
		}, ErrFiltered},
		{"an event that no client made", all(func(w *Watch) {
			w.Segments[2].Batches[1] = kv.Batch{Revision: 6, Events: []kv.Event{put("/c", "9", 6, 6, 1)}}
		}), ErrUnwritten},
		{"another value", all(func(w *Watch) {
			w.Segments[2].Batches[1] = kv.Batch{Revision: 6, Events: []kv.Event{put("/b", "9", 6, 6, 1)}}
		}), ErrMetadata},
		{"a deletion delivered as a put", all(func(w *Watch) {
			w.Segments[2].Batches[0] = kv.Batch{Revision: 5, Events: []kv.Event{put("/b", "", 5, 5, 1)}}
		}), ErrMetadata},
	})
}
