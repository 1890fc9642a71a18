package contents

import (
	"slices"
	"strings"
)

// step is how one Contents came from the one before it. Steps are kept for as long as walking back over them is less work than
// comparing two Contents, so that the changes between two that are close take no longer in a large range than in a small one.
type step struct {
	keys  []string // that were put or deleted
	older *step    // nil where the steps before are no longer kept
	total int      // the number of keys in this step and all older ones
}

const leastSteps = 256

// next is the step after s to a Contents of so many keys.
func (s *step) next(keys []string, size int) *step {
	n := &step{keys: keys, older: s, total: s.total + len(keys)}
	if n.total > max(leastSteps, size/4) {
		n.older, n.total = nil, len(keys)
	}
	return n
}

// Change is one key that differs between two Contents. Old is nil if the key was added, and New if it was removed.
type Change struct{ Old, New *Item }

// Key is the key that changed.
func (c Change) Key() string {
	if c.New != nil {
		return c.New.Key
	}
	return c.Old.Key
}

// Changes returns what differs between old and c, each key once: first the keys that were removed, then all others, both in order.
func (c *Contents) Changes(old *Contents) []Change {
	changes, ok := c.walkBack(old)
	if !ok {
		changes = c.compare(old)
	}
	slices.SortFunc(changes, func(a, b Change) int {
		if removed := a.New == nil; removed != (b.New == nil) {
			if removed {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Key(), b.Key())
	})
	return changes
}

// walkBack finds the changes by the steps from old to c. It reports false if they are no longer kept, or do not lead to old.
func (c *Contents) walkBack(old *Contents) (changes []Change, ok bool) {
	seen := make(map[string]struct{})
	for s := c.step; s != old.step; s = s.older {
		if s.older == nil {
			return nil, false
		}
		for _, key := range s.keys {
			seen[key] = struct{}{}
		}
	}
	for key := range seen {
		changes = appendChange(changes, old.Get(key), c.Get(key))
	}
	return changes, true
}

// compare finds the changes by looking at all items.
func (c *Contents) compare(old *Contents) (changes []Change) {
	was, is := old.tree.Iter(), c.tree.Iter()
	defer was.Release()
	defer is.Release()
	more, also := was.First(), is.First()
	for more || also {
		switch {
		case !also || more && was.Item().Key < is.Item().Key:
			changes = append(changes, Change{Old: was.Item()})
			more = was.Next()
		case !more || is.Item().Key < was.Item().Key:
			changes = append(changes, Change{New: is.Item()})
			also = is.Next()
		default:
			changes = appendChange(changes, was.Item(), is.Item())
			more, also = was.Next(), is.Next()
		}
	}
	return changes
}

// appendChange appends the change from old to new, if there is one. Two items of the same bad entry may keep different good values: one
// was made by a watch that brought the value between, and the other by a read that did not.
func appendChange(changes []Change, old, new *Item) []Change {
	if Same(old, new) && (old == new || old.GoodRevision() == new.GoodRevision()) {
		return changes
	}
	return append(changes, Change{old, new})
}
