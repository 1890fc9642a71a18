package memory

import "weak"

// Alive knows what a store holds in memory, with weak pointers that do not hold it.
type Alive struct {
	records []weak.Pointer[record]
	chunks  []weak.Pointer[chunk]
	watches []weak.Pointer[watch]
}

// Remember returns what the store holds now: all records of the history, its chunks, and all watches.
func (s *Store) Remember() *Alive {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := new(Alive)
	for i := range s.history.count {
		a.records = append(a.records, weak.Make(s.history.at(i)))
	}
	for _, c := range s.history.chunks {
		a.chunks = append(a.chunks, weak.Make(c))
	}
	for w := range s.watches.all() {
		a.watches = append(a.watches, weak.Make(w))
	}
	return a
}

// Left returns how many of them are left after a garbage collection.
func (a *Alive) Left() (records, chunks, watches int) {
	return left(a.records), left(a.chunks), left(a.watches)
}

func left[T any](pointers []weak.Pointer[T]) (n int) {
	for _, p := range pointers {
		if p.Value() != nil {
			n++
		}
	}
	return n
}
