package memory

import "github.com/watchkv/watchkv/kv"

// Concerned returns how many watches a write of key has to look at.
func (s *Store) Concerned(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, g := range s.watches.find(key, nil) {
		n += len(g.watches)
	}
	return n
}

// Registered reports whether anything at all is left in the index of watches.
func (s *Store) Registered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.watches
	return x.size+len(x.keys)+len(x.prefixes)+len(x.lengths) > 0 || x.intervals.root != nil
}

// Kept returns how many records the history holds, and how many of them by key.
func (s *Store) Kept() (records, byKey int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range s.history.byKey {
		byKey += len(list)
	}
	return s.history.count, byKey
}

// Index is the index of watches, to be tested by itself.
type Index struct {
	x       *index
	watches map[int]*watch
	ranges  map[int]kv.Range
}

func NewIndex() *Index {
	return &Index{x: newIndex(), watches: make(map[int]*watch), ranges: make(map[int]kv.Range)}
}

func (x *Index) Add(id int, r kv.Range) {
	x.watches[id], x.ranges[id] = new(watch), r
	x.x.add(r, x.watches[id])
}

func (x *Index) Remove(id int) {
	x.x.remove(x.ranges[id], x.watches[id])
	delete(x.watches, id)
	delete(x.ranges, id)
}

// Find returns how often the index finds each watch for key.
func (x *Index) Find(key string) map[int]int {
	ids := make(map[*watch]int)
	for id, w := range x.watches {
		ids[w] = id
	}
	found := make(map[int]int)
	for _, g := range x.x.find(key, nil) {
		for _, w := range g.watches {
			found[ids[w]]++
		}
	}
	return found
}

// All returns how many watches the index goes through.
func (x *Index) All() int {
	n := 0
	for range x.x.all() {
		n++
	}
	return n
}

// Depth returns the length of the longest path in the tree of intervals.
func (x *Index) Depth() int { return x.x.intervals.root.depth() }

func (n *interval) depth() int {
	if n == nil {
		return 0
	}
	return 1 + max(n.left.depth(), n.right.depth())
}
