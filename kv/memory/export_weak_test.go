package memory

import (
	"weak"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// Alive has weak pointers to what a store holds in memory. They do not keep it alive.
type Alive struct {
	records []weak.Pointer[mvcc.Record]
	watches []weak.Pointer[watch]
}

// Remember returns what the store holds now: all records of the history, and all watches.
func (s *Store) Remember() *Alive {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := new(Alive)
	s.data.Since(0, func(rec *mvcc.Record) bool {
		a.records = append(a.records, weak.Make(rec))
		return true
	})
	for w := range s.watches.All() {
		a.watches = append(a.watches, weak.Make(w))
	}
	return a
}

// Left returns how many of the records and watches are left after a garbage collection.
func (a *Alive) Left() (records, watches int) {
	return left(a.records), left(a.watches)
}

func left[T any](pointers []weak.Pointer[T]) (n int) {
	for _, p := range pointers {
		if p.Value() != nil {
			n++
		}
	}
	return n
}
