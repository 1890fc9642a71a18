package mvcc

import (
	"cmp"
	"iter"
	"slices"
	"sort"
)

// Index finds the watches whose range holds a key. A search costs one map lookup for watches of the key itself, one for each
// distinct length of a watched prefix that is not longer than the key, one step for each open range that holds the key, and,
// for other intervals, what [intervals] says.
type Index[W Watch[W]] struct {
	size      int
	keys      map[string]*Group[W]
	prefixes  map[string]*Group[W] // the prefix "" is every key
	lengths   []prefixLength       // shortest first
	intervals intervals[W]
	open      []*openRange[W] // in order of their first keys
}

// Watch is a watch in an [Index].
type Watch[W any] interface {
	// Place returns the watch's place in the index, which the index keeps there.
	Place() *Place[W]
}

// Place is where in an [Index] a watch is.
type Place[W any] struct {
	group *Group[W]
	at    int
}

// Group is the watches of one range.
type Group[W any] struct{ Watches []W }

// openRange is a range without an end.
type openRange[W any] struct {
	from  string
	group Group[W]
}

// prefixLength is a length and the number of groups whose prefix has that length.
type prefixLength struct{ length, groups int }

// NewIndex returns an empty index.
func NewIndex[W Watch[W]]() *Index[W] {
	return &Index[W]{keys: make(map[string]*Group[W]), prefixes: make(map[string]*Group[W])}
}

// Len returns the number of watches.
func (x *Index[W]) Len() int { return x.size }

// Find appends to groups the groups of all ranges that hold key.
func (x *Index[W]) Find(key string, groups []*Group[W]) []*Group[W] {
	if g, ok := x.keys[key]; ok {
		groups = append(groups, g)
	}
	for _, p := range x.lengths {
		if p.length > len(key) {
			break
		}
		if g, ok := x.prefixes[key[:p.length]]; ok {
			groups = append(groups, g)
		}
	}
	for _, o := range x.open {
		if o.from > key {
			break
		}
		groups = append(groups, &o.group)
	}
	return x.intervals.find(key, groups)
}

// Add adds w, a watch of r.
func (x *Index[W]) Add(r Range, w W) {
	x.size++
	g := x.group(r)
	*w.Place() = Place[W]{g, len(g.Watches)}
	g.Watches = append(g.Watches, w)
}

// Remove removes w, which was added as a watch of r.
func (x *Index[W]) Remove(r Range, w W) {
	x.size--
	place := w.Place()
	g := place.group
	last := len(g.Watches) - 1
	moved := g.Watches[last]
	g.Watches[place.at], moved.Place().at = moved, place.at
	g.Watches[last] = *new(W)
	g.Watches = g.Watches[:last]
	place.group = nil
	if last == 0 {
		x.removeGroup(r)
	}
}

// group returns the group of r, and makes it if there is none.
func (x *Index[W]) group(r Range) *Group[W] {
	switch r.kind {
	case keyRange:
		g, ok := x.keys[r.from]
		if !ok {
			g = new(Group[W])
			x.keys[r.from] = g
		}
		return g
	case prefixRange:
		g, ok := x.prefixes[r.from]
		if !ok {
			g = new(Group[W])
			x.prefixes[r.from] = g
			x.countLength(len(r.from), 1)
		}
		return g
	case fromRange:
		i, ok := x.searchOpen(r.from)
		if !ok {
			x.open = slices.Insert(x.open, i, &openRange[W]{from: r.from})
		}
		return &x.open[i].group
	}
	return x.intervals.group(r.from, r.to)
}

// removeGroup removes the group of r, which is empty.
func (x *Index[W]) removeGroup(r Range) {
	switch r.kind {
	case keyRange:
		delete(x.keys, r.from)
	case prefixRange:
		delete(x.prefixes, r.from)
		x.countLength(len(r.from), -1)
	case fromRange:
		i, _ := x.searchOpen(r.from)
		x.open = slices.Delete(x.open, i, i+1)
	default:
		x.intervals.remove(r.from, r.to)
	}
}

func (x *Index[W]) searchOpen(from string) (i int, ok bool) {
	return slices.BinarySearchFunc(x.open, from, func(o *openRange[W], from string) int { return cmp.Compare(o.from, from) })
}

// countLength adds n to the number of groups of prefixes with this length.
func (x *Index[W]) countLength(length, n int) {
	i := sort.Search(len(x.lengths), func(i int) bool { return x.lengths[i].length >= length })
	if i == len(x.lengths) || x.lengths[i].length != length {
		x.lengths = slices.Insert(x.lengths, i, prefixLength{length: length})
	}
	x.lengths[i].groups += n
	if x.lengths[i].groups == 0 {
		x.lengths = slices.Delete(x.lengths, i, i+1)
	}
}

// All yields every watch, in any order.
func (x *Index[W]) All() iter.Seq[W] {
	return func(yield func(W) bool) {
		some := func(g *Group[W]) bool {
			for _, w := range g.Watches {
				if !yield(w) {
					return false
				}
			}
			return true
		}
		for _, groups := range []map[string]*Group[W]{x.keys, x.prefixes} {
			for _, g := range groups {
				if !some(g) {
					return
				}
			}
		}
		for _, o := range x.open {
			if !some(&o.group) {
				return
			}
		}
		x.intervals.each(some)
	}
}

// Left returns how many entries of any kind the index has. It is zero if nothing was left behind.
func (x *Index[W]) Left() int {
	n := x.size + len(x.keys) + len(x.prefixes) + len(x.lengths) + len(x.open)
	if x.intervals.root != nil {
		n++
	}
	return n
}
