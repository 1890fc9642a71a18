package mvcc

import "weak"

// Chunks returns the chunks of the history, with weak pointers that do not hold them, as a function that counts those left.
func (s *Store) Chunks() (left func() int) {
	var chunks []weak.Pointer[chunk]
	for _, c := range s.history.chunks {
		chunks = append(chunks, weak.Make(c))
	}
	return func() (n int) {
		for _, c := range chunks {
			if c.Value() != nil {
				n++
			}
		}
		return n
	}
}
