package contents

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/watchkv/watchkv/kv"
)

type bad struct{ error }

func (b bad) Bad() error        { return b.error }
func (b bad) Good() kv.Revision { return 0 }

// asked is a bad value. It counts how many times it was asked whether it is bad.
type asked struct{ times *int }

func (a asked) Bad() error {
	*a.times++
	return errors.New("bad")
}

func (a asked) Good() kv.Revision { return 0 }

func item(key string, rev kv.Revision) *Item {
	return NewItem(&kv.Entry{Key: key, Value: []byte(key), CreateRevision: rev, ModRevision: rev, Version: 1})
}

// model does the same as a Contents, with a map.
type model map[string]*Item

func (m model) check(t *testing.T, c *Contents) {
	t.Helper()
	var want []string
	size := 0
	for key, i := range m {
		want = append(want, key)
		size += int(i.size)
		if got := c.Get(key); got != i {
			t.Fatalf("Get(%q) = %v, want %v", key, got, i)
		}
	}
	slices.Sort(want)
	var got []string
	for i := range c.All(Part{}) {
		got = append(got, i.Key)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("the keys of All (-want +got):\n%s", d)
	}
	if c.Len() != len(m) || c.Size() != size {
		t.Fatalf("Len, Size = %d, %d, want %d, %d", c.Len(), c.Size(), len(m), size)
	}
	var newest *Item
	for _, i := range m {
		if i.Bad() != nil && (newest == nil || i.ModRevision > newest.ModRevision) {
			newest = i
		}
	}
	var bad error
	if newest != nil {
		bad = newest.Bad()
	}
	if got := c.Bad(); got != bad {
		t.Fatalf("promised: Bad is the error of the newest bad item; it is %v, want %v", got, bad)
	}
}

// changes returns the differences between two models, in the order that Changes promises.
func (m model) changes(old model) (removed, others []string) {
	for key := range old {
		if m[key] == nil {
			removed = append(removed, key)
		}
	}
	for key, i := range m {
		if !Same(i, old[key]) {
			others = append(others, key)
		}
	}
	slices.Sort(removed)
	slices.Sort(others)
	return removed, others
}

func (m model) clone() model {
	c := make(model, len(m))
	for key, i := range m {
		c[key] = i
	}
	return c
}

func TestM3ChangesBetweenAnyTwoContentsAddUp(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		keys := 1 + random.IntN(600)
		contents, models := []*Contents{Empty()}, []model{{}}
		rev := kv.Revision(1)
		for range 30 {
			from := random.IntN(len(contents)) // not always the last contents, because reads branch off
			if random.IntN(3) > 0 {
				from = len(contents) - 1
			}
			m := models[from].clone()
			var c *Contents
			if random.IntN(4) == 0 { // like a read that found a different state
				for range random.IntN(keys) {
					key := fmt.Sprint(random.IntN(keys))
					if rev++; random.IntN(3) == 0 {
						delete(m, key)
					} else {
						m[key] = item(key, rev)
					}
				}
				var items []*Item
				for _, i := range m {
					if random.IntN(2) == 0 {
						again := *i
						i = &again
					}
					items = append(items, i)
				}
				slices.SortFunc(items, func(a, b *Item) int {
					if a.Key < b.Key {
						return -1
					}
					return 1
				})
				c = contents[from].Replace(items)
				for key, i := range m {
					if got := c.Get(key); !Same(got, i) {
						t.Fatalf("seed %d: Replace has %v for %q, want %v", seed, got, key, i)
					} else if was := contents[from].Get(key); Same(was, i) && got != was {
						t.Fatalf("seed %d: Replace did not keep the item of %q, which is unchanged", seed, key)
					}
					m[key] = c.Get(key)
				}
			} else {
				e := contents[from].Edit()
				for range random.IntN(8) {
					key := fmt.Sprint(random.IntN(keys))
					if rev++; random.IntN(3) == 0 {
						e.Delete(key)
						delete(m, key)
					} else {
						i := item(key, rev)
						if random.IntN(3) == 0 {
							i.Decoded = bad{fmt.Errorf("bad at %d", rev)}
						}
						e.Put(i)
						m[key] = i
					}
				}
				c = e.Contents()
			}
			contents, models = append(contents, c), append(models, m)
		}
		for i, m := range models {
			m.check(t, contents[i])
		}
		for range 100 {
			i, j := random.IntN(len(models)), random.IntN(len(models))
			removed, others := models[j].changes(models[i])
			var got []string
			for _, c := range contents[j].Changes(contents[i]) {
				got = append(got, c.Key())
				if c.Old != models[i][c.Key()] || c.New != models[j][c.Key()] {
					t.Fatalf("seed %d: the change of %q is from %v to %v, want from %v to %v", seed, c.Key(), c.Old, c.New, models[i][c.Key()], models[j][c.Key()])
				}
			}
			if want := append(removed, others...); !slices.Equal(got, want) {
				t.Fatalf("seed %d: Changes from %d to %d are of\n%q, want\n%q", seed, i, j, got, want)
			}
			if same, sums := len(removed)+len(others) == 0, contents[i].Sum() == contents[j].Sum(); same != sums {
				t.Fatalf("seed %d: contents %d and %d are the same: %v, and their sums are: %v", seed, i, j, same, sums)
			}
		}
	}
}

func TestCountIsOfARange(t *testing.T) {
	e := Empty().Edit()
	for i := range 1000 {
		e.Put(item(fmt.Sprintf("/%03d", i), 1))
	}
	c := e.Contents()
	for _, test := range []struct {
		r    kv.Range
		want int
	}{
		{kv.All(), 1000},
		{kv.Prefix("/"), 1000},
		{kv.Prefix("/1"), 100},
		{kv.Prefix("/99"), 10},
		{kv.Prefix("/2000"), 0},
		{kv.Prefix("0"), 0},
		{kv.Prefix("."), 0},
		{kv.Key("/500"), 1},
		{kv.Key("/5"), 0},
		{kv.Interval("/100", "/200"), 100},
		{kv.Interval("/0005", "/0015"), 1},
		{kv.Interval("", "/001"), 1},
	} {
		n := 0
		for i := range c.All(In(test.r)) {
			if !test.r.Contains(i.Key) {
				t.Errorf("All(%v) yields %q", test.r, i.Key)
			}
			n++
		}
		if got := c.Count(In(test.r)); got != test.want || n != test.want {
			t.Errorf("Count(%v) = %d, but All yields %d, want %d", test.r, got, n, test.want)
		}
	}
}

func TestAPartOfAPartHasTheKeysOfBoth(t *testing.T) {
	all := []kv.Range{
		kv.All(), kv.Prefix("/"), kv.Prefix("/a"), kv.Prefix("/a/"), kv.Prefix("\xff"), kv.Key("/a"), kv.Key("/b"),
		kv.Interval("/a", "/b"), kv.Interval("", "/a"), kv.Interval("/b", "\xff\xff"),
	}
	keys := []string{"\x00", "/", "/a", "/a/", "/a/x", "/b", "/b/x", "0", "\xfe", "\xff", "\xff\xff", "\xff\xffx"}
	for _, a := range all {
		for _, b := range all {
			for _, key := range keys {
				want := a.Contains(key) && b.Contains(key)
				if got := In(a).And(In(b)).Contains(key); got != want {
					t.Errorf("%q in both %v and %v: %v, want %v", key, a, b, got, want)
				}
			}
		}
	}
	if n := Empty().Count(In(kv.Key("/b")).And(In(kv.Key("/a")))); n != 0 {
		t.Errorf("the intersection of two different keys has %d keys", n)
	}
}

func TestBadIsTheNewestBadItem(t *testing.T) {
	put := func(c *Contents, key string, rev kv.Revision, err error) *Contents {
		e := c.Edit()
		i := item(key, rev)
		i.Decoded = bad{err}
		e.Put(i)
		return e.Contents()
	}
	one, two := errors.New("one"), errors.New("two")
	c := put(put(put(Empty(), "a", 1, one), "b", 2, two), "c", 3, nil)
	want := func(c *Contents, want error) {
		t.Helper()
		if got := c.Bad(); got != want {
			t.Errorf("Bad() = %v, want %v", got, want)
		}
	}
	want(c, two)
	want(put(c, "b", 4, nil), one)
	want(put(put(c, "b", 4, nil), "a", 5, nil), nil)
	want(put(c, "a", 4, nil), two)
	e := c.Edit()
	e.Delete("b")
	want(e.Contents(), one)
	e.Delete("a")
	want(e.Contents(), nil)
	want(c, two)
}

// A Map may have many bad values, and they may become good one after the other.
func TestRepairingTheNewestBadItemDoesNotScanAllOthers(t *testing.T) {
	const items, mended, each = 1000, 20, 4
	times := 0
	e := Empty().Edit()
	for i := range items {
		bad := item(fmt.Sprint(i), kv.Revision(i+1))
		bad.Decoded = asked{&times}
		e.Put(bad)
	}
	c := e.Contents()
	times = 0
	for i := range mended {
		e := c.Edit()
		e.Put(item(fmt.Sprint(items-1-i), kv.Revision(items+1+i)))
		if c = e.Contents(); c.Bad() == nil {
			t.Fatalf("after %d of %d bad items became good, there is no bad item", i+1, items)
		}
	}
	if times > each*mended {
		t.Errorf("promised: if one bad item becomes good, not all others are checked; %d such items checked %d items, want at most %d each", mended, times, each)
	}
}

// The list of steps must not keep the whole past.
func TestStepsAreBounded(t *testing.T) {
	c := Empty()
	for rev := range kv.Revision(100_000) {
		e := c.Edit()
		e.Put(item(fmt.Sprint(rev%100), rev))
		c = e.Contents()
	}
	n := 0
	for s := c.step; s != nil; s = s.older {
		n += len(s.keys)
	}
	if n > leastSteps {
		t.Errorf("the Contents of 100 keys keeps %d changes, want at most %d", n, leastSteps)
	}
}

func TestNothingReplacedByNothingIsTheSameContents(t *testing.T) {
	c := Empty()
	step := c.step
	if c.Replace(nil) != c || c.step != step {
		t.Error("an empty Contents was changed, although others may be reading it")
	}
}

func TestM7ContentsAreReadConcurrentlyWithTheNextChange(t *testing.T) {
	c := Empty()
	var running sync.WaitGroup
	defer running.Wait()
	for rev := range kv.Revision(200) {
		e := c.Edit()
		for key := range 20 {
			e.Put(item(fmt.Sprint(key), rev))
		}
		was, next := c, e.Contents()
		running.Go(func() {
			for _, change := range next.Changes(was) {
				if change.New.ModRevision != rev {
					t.Errorf("there is a change of revision %d in the Contents of revision %d", change.New.ModRevision, rev)
				}
			}
			other := next.Edit() // like a reader of history
			other.Delete("1")
			if other.Contents().Len() != 19 || next.Len() != 20 {
				t.Errorf("an edit of a shared Contents changed it")
			}
		})
		c = next
	}
}

// The first items of a range are added in a different way than later items.
func TestTheFirstItemsAreCompleteAndInOrder(t *testing.T) {
	for n := range 300 {
		m := make(model)
		var items []*Item
		for k := range n {
			i := item(fmt.Sprintf("%04d", k), 1)
			m[i.Key] = i
			items = append(items, i)
		}
		c := Empty().Replace(items)
		m.check(t, c)
		if got := len(c.Changes(Empty())); got != n {
			t.Fatalf("%d changes from nothing to %d items", got, n)
		}
		if t.Failed() {
			t.Fatalf("with %d items", n)
		}
	}
}

// A range of 100,000 small values takes twice their bytes, and 100 bytes more for each. With a larger Item it would take more.
func TestAnItemIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Item{}); size > 64 {
		t.Errorf("an Item takes %d bytes, want at most 64", size)
	}
}
