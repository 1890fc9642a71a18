package contents

// Newest returns the items with the highest ModRevision, in order of their keys: what the newest commit has put, as far as it is still
// there. The first call looks at every item.
func (c *Contents) Newest() []*Item {
	if known := c.newest.Load(); known != nil {
		return *known
	}
	var newest []*Item
	c.tree.Scan(func(i *Item) bool {
		switch {
		case len(newest) == 0 || i.ModRevision > newest[0].ModRevision:
			newest = append(newest[:0], i)
		case i.ModRevision == newest[0].ModRevision:
			newest = append(newest, i)
		}
		return true
	})
	c.newest.Store(&newest)
	return newest
}
