package history

import (
	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/kv"
)

// A Watch is what a watcher of a range received. The watcher sometimes stopped and resumed.
type Watch struct {
	Name     string
	Range    kv.Range
	Segments []Segment
}

// A Segment is one uninterrupted piece of a watch.
type Segment = events.Segment

// Events is the number of events that w received.
func (w Watch) Events() int {
	n := 0
	for _, s := range w.Segments {
		n += len(s.Events())
	}
	return n
}
