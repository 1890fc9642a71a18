package value

import (
	"math/rand/v2"
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// modelReader is a reader of a backlog, and the last revision that it has seen.
type modelReader struct {
	cursor *cursor
	seen   kv.Revision
}

// A random program is compared with a list of everything that was appended.
func TestV4TheBacklogReturnsEveryUpdateOrTheRevisionToReadFrom(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		most := 1 + random.IntN(40)
		b := &backlog[int]{most: most}
		var all []*update[int] // all updates of the current history
		var readers []*modelReader
		revision := kv.Revision(1)
		for range 300 {
			switch n := random.IntN(10); {
			case n == 0:
				r := &modelReader{cursor: new(cursor), seen: revision}
				b.join(r.cursor)
				readers = append(readers, r)
			case n == 1 && len(readers) > 0:
				i := random.IntN(len(readers))
				b.leave(readers[i].cursor)
				readers = append(readers[:i], readers[i+1:]...)
			case n < 5:
				var batch []*update[int]
				for range random.IntN(12) {
					revision++
					batch = append(batch, &update[int]{Position: upstream.Position{Revision: revision}, size: random.IntN(3) * backlogBytes / 8})
				}
				all = append(all, batch...)
				if b.recording() {
					b.append(batch...)
				} else {
					b.clear(revision)
				}
			case len(readers) > 0:
				r := readers[random.IntN(len(readers))]
				for range 1 + random.IntN(8) {
					checkNext(t, b, r, all)
				}
			}
			checkBacklog(t, b, most, len(readers))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// checkNext checks what r reads next.
func checkNext(t *testing.T, b *backlog[int], r *modelReader, all []*update[int]) {
	t.Helper()
	u, readTo := b.next(r.cursor, r.seen, 0)
	var want *update[int]
	for _, u := range all {
		if u.Revision > r.seen {
			want = u
			break
		}
	}
	switch {
	case readTo > 0 && (u != nil || readTo <= r.seen):
		t.Errorf("after %d the backlog returned %v, and sent the reader to the history up to %d", r.seen, u, readTo)
	case readTo > 0:
		if want == nil || len(b.updates) > 0 && b.updates[0].Revision <= readTo && b.updates[0].Revision > r.seen+1 {
			t.Errorf("promised: a reader reads history only up to what the backlog has; after %d it was sent to the history up to %d", r.seen, readTo)
		}
		r.seen = readTo // as if it had read history
	case u != want:
		t.Errorf("promised: each update once, in order; after %d the backlog returned %+v, want %+v", r.seen, u, want)
	case u != nil:
		r.seen = u.Revision
	}
}

// checkBacklog checks the invariants of a backlog.
func checkBacklog(t *testing.T, b *backlog[int], most, readers int) {
	t.Helper()
	size := 0
	for _, u := range b.updates {
		size += u.size
	}
	if b.size != size {
		t.Errorf("the backlog's size is %d, but the size of its updates is %d", b.size, size)
	}
	if len(b.updates) > most || len(b.updates) > 1 && size > backlogBytes {
		t.Errorf("promised: a backlog is bounded by number and size; it holds %d updates of %d bytes, want at most %d of %d",
			len(b.updates), size, most, backlogBytes)
	}
	if readers == 0 && (b.recording() || len(b.updates) > 0 || b.updates != nil) {
		t.Errorf("promised: a backlog without readers holds nothing; it holds %d updates", len(b.updates))
	}
	if readers > 0 && !b.recording() {
		t.Error("the backlog has readers, but records nothing for them")
	}
}

// backlogOf returns a backlog with n updates, and its readers.
func backlogOf(n, readers int) (*backlog[int], []*cursor) {
	b := &backlog[int]{most: 1 << 20}
	all := make([]*cursor, readers)
	for i := range all {
		all[i] = new(cursor)
		b.join(all[i])
	}
	for i := range n {
		b.append(&update[int]{Position: upstream.Position{Revision: kv.Revision(i + 1)}})
	}
	return b, all
}

func TestV4TheBacklogFreesWhatItsOnlyReaderHasRead(t *testing.T) {
	b, readers := backlogOf(10, 1)
	for i := range kv.Revision(10) {
		if u, _ := b.next(readers[0], i, 0); u == nil || u.Revision != i+1 {
			t.Fatalf("after %d the backlog returned %+v", i, u)
		}
		if n := len(b.updates); n != int(9-i) {
			t.Fatalf("promised: updates that all readers have read are not held; after %d of 10 were read the backlog holds %d", i+1, n)
		}
	}
}

// The backlog does not check each reader at each update, because that would be slow.
func TestV4TheBacklogFreesWhatAllReadersHaveRead(t *testing.T) {
	b, readers := backlogOf(0, 3)
	for i := range kv.Revision(10_000) {
		b.append(&update[int]{Position: upstream.Position{Revision: i + 1}})
		for _, r := range readers {
			b.next(r, i, 0)
		}
		if n := len(b.updates); n > 2*firstTrim {
			t.Fatalf("promised: updates that all readers have read are dropped once there are %d; %d are held", 2*firstTrim, n)
		}
	}
}

func TestV4ANewReaderDoesNotGetEarlierUpdates(t *testing.T) {
	b, readers := backlogOf(10, 2)
	late := new(cursor)
	b.join(late)
	b.append(&update[int]{Position: upstream.Position{Revision: 11}})
	if u, readTo := b.next(late, 3, 0); u == nil || u.Revision != 11 || readTo != 0 {
		t.Errorf("the reader got %+v, and was sent to the history up to %d, want revision 11", u, readTo)
	}
	for i := range kv.Revision(11) { // no other reader loses an update by that
		if u, _ := b.next(readers[0], i, 0); u == nil || u.Revision != i+1 {
			t.Fatalf("another reader got %+v after %d", u, i)
		}
	}
}

func TestV4TheBacklogEndsWithItsHistory(t *testing.T) {
	b, readers := backlogOf(3, 2)
	b.append(&update[int]{Position: upstream.Position{Revision: 4}, epoch: 1})
	for i := range kv.Revision(3) {
		b.next(readers[0], i, 0)
	}
	for range 2 {
		if u, _ := b.next(readers[0], 3, 0); u != nil {
			t.Errorf("a reader of the old history got %+v of the new history", u)
		}
	}
	if u, _ := b.next(readers[0], 3, 1); u == nil || u.Revision != 4 {
		t.Errorf("promised: later updates are not lost; the reader of the new history got %+v", u)
	}
}

func TestV4TheBacklogIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		most  int
		sizes []int
		held  int
	}{
		"as many as the bound":          {3, []int{1, 1, 1}, 3},
		"one more":                      {3, []int{1, 1, 1, 1}, 3},
		"as large as the bound":         {9, []int{backlogBytes / 2, backlogBytes / 2}, 2},
		"a byte more":                   {9, []int{backlogBytes / 2, backlogBytes / 2, 1}, 2},
		"half as much again":            {9, []int{backlogBytes / 2, backlogBytes / 2, backlogBytes / 2}, 2},
		"one that is larger":            {9, []int{backlogBytes + 1}, 1},
		"one that is larger, at last":   {9, []int{1, 1, 2 * backlogBytes}, 1},
		"one that is larger, and a few": {9, []int{2 * backlogBytes, 1, 1}, 2},
	} {
		b, readers := backlogOf(0, 2)
		b.most = c.most
		var batch []*update[int]
		for i, size := range c.sizes {
			batch = append(batch, &update[int]{Position: upstream.Position{Revision: kv.Revision(i + 1)}, size: size})
		}
		b.append(batch...)
		if len(b.updates) != c.held {
			t.Errorf("%s: %d of %d updates are held, want %d", name, len(b.updates), len(c.sizes), c.held)
		}
		dropped := kv.Revision(len(c.sizes) - c.held)
		if dropped > 0 {
			if u, readTo := b.next(readers[0], 0, 0); u != nil || readTo != dropped {
				t.Errorf("%s: a reader that has read nothing got %+v, and was sent to the history up to %d, want %d", name, u, readTo, dropped)
			}
		}
		if u, _ := b.next(readers[1], dropped, 0); u == nil || u.Revision != dropped+1 {
			t.Errorf("%s: after %d a reader got %+v", name, dropped, u)
		}
	}
}

func TestV4AReaderDoesNotGetUpdatesThatAReadHasReturned(t *testing.T) {
	b, readers := backlogOf(5, 2)
	if u, _ := b.next(readers[0], 4, 0); u == nil || u.Revision != 5 {
		t.Errorf("after 4 the reader got %+v, want revision 5", u)
	}
	if u, _ := b.next(readers[1], 5, 0); u != nil {
		t.Errorf("promised: each update once; after 5 the reader got %+v", u)
	}
}
