package fault

import "github.com/watchkv/watchkv/kv"

// Drop loses the next n matching events. If n is below zero, it loses all matching events until the rule is removed. A lost
// event is left out of the batches that streams deliver, and nothing reports the loss. A batch that loses all its events is
// not delivered. No store may lose events; Drop tests that a reader notices.
//
// For Drop, [Puts] and [Deletes] match what an event did, and [On] matches its key: Drop(1, Deletes, On(kv.Key("/a"))) loses
// the next deletion of "/a". Drop counts deliveries: an event that two streams carry counts twice.
func (s *Store) Drop(n int, match ...Match) *Rule {
	return s.add(&Rule{kind: drop, left: n, match: match})
}

// Duplicate delivers the next n matching events twice: in their batch, and again in a batch that follows it. If n is below
// zero, it duplicates all matching events until the rule is removed. No store may do this; Duplicate tests that a reader is
// not fooled. Matching and counting are as for [Store.Drop].
func (s *Store) Duplicate(n int, match ...Match) *Rule {
	return s.add(&Rule{kind: duplicate, left: n, match: match})
}

// deliver yields batch without the dropped events, and then the duplicated events again. It reports whether the consumer
// asks for more.
func (s *Store) deliver(st *stream, batch kv.Batch, yield func(kv.Batch, error) bool) bool {
	var again []kv.Event
	if !s.calm() && !batch.IsBookmark() {
		batch, again = s.tamper(st, batch)
		if batch.IsBookmark() {
			return true
		}
	}
	return s.hand(batch, yield) && (again == nil || s.hand(batchOf(again), yield))
}

func (s *Store) hand(batch kv.Batch, yield func(kv.Batch, error) bool) bool {
	s.count(func(c *Counts) { c.Batches++; c.Events += len(batch.Events) })
	return yield(batch, nil)
}

// tamper returns what is left of batch, and what is to be delivered again.
func (s *Store) tamper(st *stream, batch kv.Batch) (left kv.Batch, again []kv.Event) {
	var kept []kv.Event
	for _, event := range batch.Events {
		c := Call{Op: Watches | Puts, Range: st.call.Range, After: st.call.After, Keys: []string{event.Key}, Answered: true}
		if event.Type == kv.EventDelete {
			c.Op = Watches | Deletes
		}
		if s.claim(drop, c) != nil {
			continue
		}
		kept = append(kept, event)
		if s.claim(duplicate, c) != nil {
			again = append(again, event.Clone())
		}
	}
	if len(kept) == len(batch.Events) {
		return batch, again
	}
	return batchOf(kept), again
}

// batchOf returns the batch that a store makes of events: complete up to the last of them.
func batchOf(events []kv.Event) kv.Batch {
	if len(events) == 0 {
		return kv.Batch{}
	}
	return kv.Batch{Revision: events[len(events)-1].ModRevision, Events: events}
}
