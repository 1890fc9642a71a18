package mvcc

import "fmt"

// watch is a watch of an index, for tests.
type watch struct{ place Place[*watch] }

func (w *watch) Place() *Place[*watch] { return &w.place }

// Watched is the index of watches, for tests.
type Watched struct {
	x       *Index[*watch]
	watches map[int]*watch
	ids     map[*watch]int
	ranges  map[int]Range
}

func NewWatched() *Watched {
	return &Watched{x: NewIndex[*watch](), watches: make(map[int]*watch), ids: make(map[*watch]int), ranges: make(map[int]Range)}
}

func (x *Watched) Add(id int, r Range) {
	x.watches[id], x.ranges[id] = new(watch), r
	x.ids[x.watches[id]] = id
	x.x.Add(r, x.watches[id])
}

func (x *Watched) Remove(id int) {
	x.x.Remove(x.ranges[id], x.watches[id])
	delete(x.ids, x.watches[id])
	delete(x.watches, id)
	delete(x.ranges, id)
}

// Find returns how often the index finds each watch for key.
func (x *Watched) Find(key string) map[int]int {
	found := make(map[int]int)
	for _, g := range x.x.Find(key, nil) {
		for _, w := range g.Watches {
			found[x.ids[w]]++
		}
	}
	return found
}

// All returns how often the index yields each watch when it goes through all of them.
func (x *Watched) All() map[int]int {
	found := make(map[int]int)
	for w := range x.x.All() {
		found[x.ids[w]]++
	}
	return found
}

// Some goes through the watches until there were n, and returns their number.
func (x *Watched) Some(n int) (some int) {
	for range x.x.All() {
		if some++; some == n {
			break
		}
	}
	return some
}

// Left returns how many entries of any kind the index has.
func (x *Watched) Left() int { return x.x.Left() }

// Depth returns the length of the longest path in the tree of intervals.
func (x *Watched) Depth() int { return x.x.intervals.root.depth() }

func (n *interval[W]) depth() int {
	if n == nil {
		return 0
	}
	return 1 + max(n.left.depth(), n.right.depth())
}

// Wrong returns what is wrong in the tree of intervals, or "".
func (x *Watched) Wrong() string {
	_, wrong := x.x.intervals.root.wrong(nil)
	return wrong
}

// wrong checks the tree n, all of which must come after the interval before. It returns the last interval of n.
func (n *interval[W]) wrong(before *interval[W]) (last *interval[W], wrong string) {
	if n == nil {
		return before, ""
	}
	last, wrong = n.left.wrong(before)
	if wrong != "" {
		return last, wrong
	}
	if last != nil && last.compare(n.from, n.to) >= 0 {
		return n, fmt.Sprintf("[%q, %q) comes before [%q, %q)", last.from, last.to, n.from, n.to)
	}
	furthest := n.to
	for _, beneath := range []*interval[W]{n.left, n.right} {
		if beneath == nil {
			continue
		}
		furthest = max(furthest, beneath.furthest)
		if beneath.priority > n.priority {
			return n, fmt.Sprintf("[%q, %q) is beneath [%q, %q), and has a higher priority", beneath.from, beneath.to, n.from, n.to)
		}
	}
	if furthest != n.furthest {
		return n, fmt.Sprintf("the furthest end beneath [%q, %q) is %q, and it says %q", n.from, n.to, furthest, n.furthest)
	}
	return n.right.wrong(n)
}
