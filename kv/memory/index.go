package memory

import (
	"iter"
	"slices"
	"sort"

	"github.com/watchkv/watchkv/kv"
)

// index finds the watches whose range holds a key. A search costs one map lookup for watches of the key itself, one for each
// distinct length of a watched prefix that is not longer than the key, and, for other intervals, what [intervals] says.
type index struct {
	size      int
	keys      map[string]*group
	prefixes  map[string]*group // the prefix "" is every key
	lengths   []prefixLength    // shortest first
	intervals intervals
}

// group holds the watches of one range.
type group struct{ watches []*watch }

// prefixLength is a length and the number of groups whose prefix has that length.
type prefixLength struct{ length, groups int }

func newIndex() *index {
	return &index{keys: make(map[string]*group), prefixes: make(map[string]*group)}
}

// notify notes in the watches of key that key changed at revision, and appends to concerned the watches that have to be
// woken. A watch that already has changes pending reaches this change too, and is not woken.
func (x *index) notify(key string, revision kv.Revision, concerned []*watch) []*watch {
	if x.size == 0 {
		return concerned
	}
	var room [8]*group
	for _, g := range x.find(key, room[:0]) {
		for _, w := range g.watches {
			if w.pending == 0 && w.from <= revision {
				w.pending = revision
				concerned = append(concerned, w)
			}
		}
	}
	return concerned
}

// find appends to groups the groups of all ranges that hold key.
func (x *index) find(key string, groups []*group) []*group {
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
	return x.intervals.find(key, groups)
}

func (x *index) add(r kv.Range, w *watch) {
	x.size++
	g := x.group(r)
	w.group, w.place = g, len(g.watches)
	g.watches = append(g.watches, w)
}

func (x *index) remove(r kv.Range, w *watch) {
	x.size--
	g := w.group
	last := len(g.watches) - 1
	moved := g.watches[last]
	g.watches[w.place], moved.place = moved, w.place
	g.watches[last] = nil
	g.watches = g.watches[:last]
	w.group = nil
	if last == 0 {
		x.removeGroup(r)
	}
}

// group returns the group of r, and makes it if there is none.
func (x *index) group(r kv.Range) *group {
	if key, ok := r.Key(); ok {
		g, ok := x.keys[key]
		if !ok {
			g = new(group)
			x.keys[key] = g
		}
		return g
	}
	if prefix, ok := asPrefix(r); ok {
		g, ok := x.prefixes[prefix]
		if !ok {
			g = new(group)
			x.prefixes[prefix] = g
			x.countLength(len(prefix), 1)
		}
		return g
	}
	from, to, _ := r.Bounds()
	return x.intervals.group(from, to)
}

// removeGroup removes the group of r, which is empty.
func (x *index) removeGroup(r kv.Range) {
	if key, ok := r.Key(); ok {
		delete(x.keys, key)
		return
	}
	if prefix, ok := asPrefix(r); ok {
		delete(x.prefixes, prefix)
		x.countLength(len(prefix), -1)
		return
	}
	from, to, _ := r.Bounds()
	x.intervals.remove(from, to)
}

// asPrefix returns the prefix that holds the same keys as r, if there is one.
func asPrefix(r kv.Range) (prefix string, ok bool) {
	from, _, _ := r.Bounds()
	return from, r == kv.Prefix(from)
}

// countLength adds n to the number of groups of prefixes with this length.
func (x *index) countLength(length, n int) {
	i := sort.Search(len(x.lengths), func(i int) bool { return x.lengths[i].length >= length })
	if i == len(x.lengths) || x.lengths[i].length != length {
		x.lengths = slices.Insert(x.lengths, i, prefixLength{length: length})
	}
	x.lengths[i].groups += n
	if x.lengths[i].groups == 0 {
		x.lengths = slices.Delete(x.lengths, i, i+1)
	}
}

// all yields every watch, in any order.
func (x *index) all() iter.Seq[*watch] {
	return func(yield func(*watch) bool) {
		some := func(g *group) bool {
			for _, w := range g.watches {
				if !yield(w) {
					return false
				}
			}
			return true
		}
		for _, groups := range []map[string]*group{x.keys, x.prefixes} {
			for _, g := range groups {
				if !some(g) {
					return
				}
			}
		}
		x.intervals.each(some)
	}
}
