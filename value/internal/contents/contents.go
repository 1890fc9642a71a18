// Package contents keeps what a range of keys holds. A [Contents] is immutable. The next one shares with it everything that did not
// change, and knows what did.
package contents

import (
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"
	"github.com/watchkv/watchkv/kv"
)

// Item is one key of a range. It is immutable once it is in a Contents. A large range has many, so it is small.
type Item struct {
	Key            string
	CreateRevision kv.Revision
	ModRevision    kv.Revision
	Version        int64
	sum            uint32 // of the value's bytes, as far as it fits: it only tells two values of the same revisions and version apart
	size           uint32 // of the value
	Decoded        Decoded
}

// Decoded is what the owner of a Contents has made of a value.
type Decoded interface {
	// Bad is why the value could not be decoded; nil if it could.
	Bad() error
	// Good is, of a bad value, the revision of the newest value of its key that could be decoded, as far as is known; zero for none.
	Good() kv.Revision
}

// NewItem returns the item of an entry, of which nothing was made yet.
func NewItem(e *kv.Entry) *Item {
	return &Item{
		Key: e.Key, CreateRevision: e.CreateRevision, ModRevision: e.ModRevision, Version: e.Version,
		sum: uint32(Sum(e.Value)), size: uint32(len(e.Value)),
	}
}

// GoodRevision is that of the newest value that could be decoded, as far as is known; zero for none.
func (i *Item) GoodRevision() kv.Revision {
	switch {
	case i.Decoded == nil:
		return 0
	case i.Decoded.Bad() == nil:
		return i.ModRevision
	}
	return i.Decoded.Good()
}

// Bad is why the value could not be decoded; nil if it could.
func (i *Item) Bad() error {
	if i.Decoded == nil {
		return nil
	}
	return i.Decoded.Bad()
}

// Holds reports whether i is of the entry e, and has its value.
func (i *Item) Holds(e *kv.Entry) bool {
	return i.IsOf(e) && i.size == uint32(len(e.Value)) && i.sum == uint32(Sum(e.Value))
}

// IsOf reports whether i is of the entry e. It does not compare the values.
func (i *Item) IsOf(e *kv.Entry) bool {
	return i.ModRevision == e.ModRevision && i.CreateRevision == e.CreateRevision && i.Version == e.Version && i.Key == e.Key
}

// Same reports whether a and b are the same entry with the same value.
func Same(a, b *Item) bool {
	if a == b || a == nil || b == nil {
		return a == b
	}
	return a.ModRevision == b.ModRevision && a.CreateRevision == b.CreateRevision && a.Version == b.Version && a.sum == b.sum && a.size == b.size && a.Key == b.Key
}

// seed is for sums, which are compared within the process only.
var seed = maphash.MakeSeed()

// Sum is the sum of a value's bytes. A restored store may give another value the revisions and the version of one that it has
// forgotten, so the bytes are compared as well.
func Sum(value []byte) uint64 { return maphash.Bytes(seed, value) }

// Sum is the sum of the value's bytes.
func (i *Item) Sum() uint64 { return uint64(i.sum) }

// identity is the sum of everything by which [Same] knows an item.
func (i *Item) identity() uint64 {
	return maphash.Comparable(seed, struct {
		key         string
		create, mod kv.Revision
		version     int64
		sum, size   uint32
	}{i.Key, i.CreateRevision, i.ModRevision, i.Version, i.sum, i.size})
}

// Contents is what a range holds. All methods may be called concurrently.
type Contents struct {
	copying sync.Mutex // a copy marks the tree that it is made of
	tree    *btree.BTreeG[*Item]
	sum     uint64                  // of the identities of all items, in any order
	size    int                     // of all values
	bad     *badItems               // nil if all are good
	step    *step                   // how it came from the Contents before it
	newest  atomic.Pointer[[]*Item] // see Newest; nil before its first call
}

// degree is that of the tree: an update copies one node of each level, so nodes are small.
const degree = 16

func newTree() *btree.BTreeG[*Item] {
	return btree.NewBTreeGOptions(func(a, b *Item) bool { return a.Key < b.Key }, btree.Options{Degree: degree, NoLocks: true})
}

// Empty is the Contents of a range that holds nothing.
func Empty() *Contents { return &Contents{tree: newTree(), step: new(step)} }

// Len is the number of keys.
func (c *Contents) Len() int { return c.tree.Len() }

// Sum is the same for two Contents of the same items, and differs for others.
func (c *Contents) Sum() uint64 { return c.sum }

// Size is the number of bytes of all values.
func (c *Contents) Size() int { return c.size }

// Get returns the item of key, or nil.
func (c *Contents) Get(key string) *Item {
	i, _ := c.tree.Get(&Item{Key: key})
	return i
}

// All yields the items of a part in order of their keys.
func (c *Contents) All(p Part) iter.Seq[*Item] {
	return func(yield func(*Item) bool) {
		c.tree.Ascend(&Item{Key: p.From}, func(i *Item) bool {
			return p.Contains(i.Key) && yield(i)
		})
	}
}

// Count is the number of keys in a part. It takes time that grows with the logarithm of Len.
func (c *Contents) Count(p Part) int {
	end := c.Len()
	if p.Bounded {
		end = c.rank(p.To)
	}
	return max(0, end-c.rank(p.From))
}

// rank is the number of keys before key.
func (c *Contents) rank(key string) int {
	low, high := 0, c.Len()
	for low < high {
		middle := int(uint(low+high) >> 1)
		if i, _ := c.tree.GetAt(middle); i.Key < key {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}
