package mvcc

import (
	"cmp"
	"math/rand/v2"
)

// intervals is a treap of groups, ordered by the intervals that they watch. Each node knows the furthest end in its subtree,
// so a search skips subtrees that end too early.
//
// Finding the h intervals that hold a key, among n, takes O(log n) steps if intervals do not overlap, and O(min(n, h log n))
// at worst.
type intervals[W any] struct{ root *interval[W] }

type interval[W any] struct {
	from, to    string // to is excluded
	furthest    string // the largest to in this subtree
	priority    uint64 // random, and not lower than in the subtrees: this keeps the tree flat
	left, right *interval[W]
	group       Group[W]
}

// find appends to groups the groups of the intervals that hold key.
func (t *intervals[W]) find(key string, groups []*Group[W]) []*Group[W] {
	return t.root.find(key, groups)
}

func (n *interval[W]) find(key string, groups []*Group[W]) []*Group[W] {
	for n != nil && key < n.furthest {
		groups = n.left.find(key, groups)
		if key < n.from {
			break
		}
		if key < n.to {
			groups = append(groups, &n.group)
		}
		n = n.right
	}
	return groups
}

// group returns the group of an interval, and makes it if there is none.
func (t *intervals[W]) group(from, to string) *Group[W] {
	for n := t.root; n != nil; {
		switch c := n.compare(from, to); {
		case c == 0:
			return &n.group
		case c > 0:
			n = n.left
		default:
			n = n.right
		}
	}
	added := &interval[W]{from: from, to: to, furthest: to, priority: rand.Uint64()}
	t.root = t.root.insert(added)
	return &added.group
}

func (t *intervals[W]) remove(from, to string) { t.root = t.root.remove(from, to) }

// each calls f with every group, until f returns false.
func (t *intervals[W]) each(f func(*Group[W]) bool) { t.root.each(f) }

func (n *interval[W]) each(f func(*Group[W]) bool) bool {
	return n == nil || n.left.each(f) && f(&n.group) && n.right.each(f)
}

// compare returns -1 if n comes before an interval, 0 if it is that interval, and 1 if it comes after.
func (n *interval[W]) compare(from, to string) int {
	return cmp.Or(cmp.Compare(n.from, from), cmp.Compare(n.to, to))
}

// reach updates the furthest end of n after a change in its subtrees, and returns n.
func (n *interval[W]) reach() *interval[W] {
	n.furthest = n.to
	if n.left != nil {
		n.furthest = max(n.furthest, n.left.furthest)
	}
	if n.right != nil {
		n.furthest = max(n.furthest, n.right.furthest)
	}
	return n
}

// insert returns the tree n with added in it.
func (n *interval[W]) insert(added *interval[W]) *interval[W] {
	switch {
	case n == nil:
		return added
	case added.priority > n.priority:
		added.left, added.right = n.split(added.from, added.to)
		return added.reach()
	case n.compare(added.from, added.to) > 0:
		n.left = n.left.insert(added)
	default:
		n.right = n.right.insert(added)
	}
	return n.reach()
}

// split returns the nodes of n that come before an interval, and those that come after. The interval is not in n.
func (n *interval[W]) split(from, to string) (before, after *interval[W]) {
	switch {
	case n == nil:
		return nil, nil
	case n.compare(from, to) > 0:
		before, n.left = n.left.split(from, to)
		return before, n.reach()
	}
	n.right, after = n.right.split(from, to)
	return n.reach(), after
}

// remove returns the tree n without an interval.
func (n *interval[W]) remove(from, to string) *interval[W] {
	switch c := n.compare(from, to); {
	case c == 0:
		return join(n.left, n.right)
	case c > 0:
		n.left = n.left.remove(from, to)
	default:
		n.right = n.right.remove(from, to)
	}
	return n.reach()
}

// join returns the tree of before and after. Everything in before comes before everything in after.
func join[W any](before, after *interval[W]) *interval[W] {
	switch {
	case before == nil:
		return after
	case after == nil:
		return before
	case before.priority > after.priority:
		before.right = join(before.right, after)
		return before.reach()
	}
	after.left = join(before, after.left)
	return after.reach()
}
