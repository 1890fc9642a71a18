package contents

import "github.com/tidwall/btree"

// Editor makes the next Contents of one. It is for one goroutine.
type Editor struct {
	last    *Contents
	tree    *btree.BTreeG[*Item] // nil until something changes
	sum     uint64
	size    int
	bad     *badItems
	ownsBad bool     // bad is not that of last
	changed []string // the keys that were put or deleted
}

// Edit begins the next Contents after c. c itself does not change.
func (c *Contents) Edit() *Editor {
	e := new(Editor)
	e.begin(c)
	return e
}

func (e *Editor) begin(c *Contents) {
	*e = Editor{last: c, sum: c.sum, size: c.size, bad: c.bad}
}

// mutable is the tree of the next Contents.
func (e *Editor) mutable() *btree.BTreeG[*Item] {
	if e.tree == nil {
		e.last.copying.Lock()
		e.tree = e.last.tree.Copy()
		e.last.copying.Unlock()
	}
	return e.tree
}

// Get returns the item that key has by now, or nil.
func (e *Editor) Get(key string) *Item {
	tree := e.tree
	if tree == nil {
		tree = e.last.tree
	}
	i, _ := tree.Get(&Item{Key: key})
	return i
}

// Put sets the item of a key.
func (e *Editor) Put(i *Item) {
	was, _ := e.mutable().Set(i)
	e.count(was, -1)
	e.count(i, 1)
	e.changed = append(e.changed, i.Key)
}

// Delete removes the item of a key, if there is one.
func (e *Editor) Delete(key string) {
	was, deleted := e.mutable().Delete(&Item{Key: key})
	if deleted {
		e.count(was, -1)
		e.changed = append(e.changed, key)
	}
}

// load puts items, which are in order, where there is none. In a tree that is filled in order every leaf but the last is half full, since
// it was split when it was full. So every second run of items comes afterwards and fills up the leaves: a pointer in half a leaf takes as
// much memory as a small value.
func (e *Editor) load(items []*Item) {
	const half = degree - 1
	tree := e.mutable()
	isLater := func(n int) bool { n %= 2*half + 1; return half <= n && n < 2*half }
	for n, i := range items {
		if !isLater(n) {
			tree.Load(i)
		}
		e.count(i, 1)
	}
	var hint btree.PathHint
	for n, i := range items {
		if isLater(n) {
			tree.SetHint(i, &hint)
		}
	}
}

// count takes an item into the sums, or with -1 out of them.
func (e *Editor) count(i *Item, times int) {
	if i == nil {
		return
	}
	e.sum += uint64(times) * i.identity()
	e.size += times * int(i.size)
	if i.Bad() != nil {
		e.countBad(i, times)
	}
}

// Contents returns the Contents with everything that was put and deleted so far. The Editor goes on from it.
func (e *Editor) Contents() *Contents {
	if e.tree == nil {
		return e.last
	}
	c := &Contents{tree: e.tree, sum: e.sum, size: e.size}
	if e.bad != nil && e.bad.Len() > 0 {
		c.bad = e.bad
	}
	c.step = e.last.step.next(e.changed, c.Len())
	e.begin(c)
	return c
}

// Replace returns the Contents of items, which are in order of their keys. It shares with c what is the same: an item that is as it
// was stays the one it was.
func (c *Contents) Replace(items []*Item) *Contents {
	e := c.Edit()
	if c.Len() == 0 {
		if len(items) == 0 {
			return c
		}
		e.load(items)
		loaded := e.Contents()
		loaded.step = new(step) // everything has changed: a list of it would be as long as the tree
		return loaded
	}
	n := 0
	c.tree.Scan(func(was *Item) bool {
		for n < len(items) && items[n].Key < was.Key {
			e.Put(items[n])
			n++
		}
		switch {
		case n == len(items) || items[n].Key != was.Key:
			e.Delete(was.Key)
		case !Same(was, items[n]) || was.GoodRevision() < items[n].GoodRevision():
			e.Put(items[n])
			n++
		default:
			n++
		}
		return true
	})
	for ; n < len(items); n++ {
		e.Put(items[n])
	}
	return e.Contents()
}
