package contents

import (
	"cmp"
	"strings"

	"github.com/tidwall/btree"
)

// badItems are the bad items of one Contents, the newest last, so that the newest is found at once when it was mended. Nil is none, as
// usual.
type badItems = btree.BTreeG[*Item]

func newBadItems() *badItems {
	older := func(a, b *Item) bool {
		return cmp.Or(cmp.Compare(a.ModRevision, b.ModRevision), strings.Compare(a.Key, b.Key)) < 0
	}
	return btree.NewBTreeGOptions(older, btree.Options{Degree: degree, NoLocks: true})
}

// Bad is the error of the newest item that is bad; nil if all are good.
func (c *Contents) Bad() error {
	if c.bad == nil {
		return nil
	}
	newest, _ := c.bad.Max()
	return newest.Bad()
}

// countBad takes a bad item into the bad items of the next Contents, or with -1 out of them.
func (e *Editor) countBad(i *Item, times int) {
	switch {
	case e.ownsBad:
	case e.bad == nil:
		e.bad = newBadItems()
	default:
		e.last.copying.Lock()
		e.bad = e.bad.Copy()
		e.last.copying.Unlock()
	}
	e.ownsBad = true
	if times > 0 {
		e.bad.Set(i)
	} else {
		e.bad.Delete(i)
	}
}
