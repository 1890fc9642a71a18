package fault

import "github.com/watchkv/watchkv/kv"

// Drop loses the next n matching events, or with n below zero all of them until the rule is removed: they
// are left out of the batches that streams deliver, and nothing tells. A batch that loses all its events is
// not delivered. No store may do this; it is for testing that a reader notices.
//
// Here [Puts] and [Deletes] mean what an event did, and [On] its key: Drop(1, Deletes, On(kv.Key("/a"))) loses
// the next deletion of "/a". What is counted is deliveries: an event that two streams carry counts for each.
func (s *Store) Drop(n int, match ...Match) *Rule {
	return s.add(&Rule{kind: drop, left: n, match: match})
}

// Duplicate delivers the next n matching events twice, or with n below zero all of them until the rule is
// removed: once in their batch, and once more in a batch that follows it. No store may do this; it is for
// testing that a reader is not fooled. What matches and what counts is as for [Store.Drop].
func (s *Store) Duplicate(n int, match ...Match) *Rule {
	return s.add(&Rule{kind: duplicate, left: n, match: match})
}

// deliver yields batch, less the events that are dropped, and again those that are duplicated. It reports
// whether the consumer asks for more.
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

// tamper returns what is left of batch, and what is to be delivered once more.
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

// batchOf returns the batch that a store would make of events: complete up to the last of them.
func batchOf(events []kv.Event) kv.Batch {
	if len(events) == 0 {
		return kv.Batch{}
	}
	return kv.Batch{Revision: events[len(events)-1].ModRevision, Events: events}
}
