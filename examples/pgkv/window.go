package pgkv

import (
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

// window is the newest changes of a history, and the watches that read them. What a slow watch has yet to read may leave the window:
// then it reads on from the database. So the memory is bounded however slow a watch is (W11).
type window struct {
	page      int           // the most changes of a page
	bookmarks time.Duration // the shortest time between bookmarks of quiet watches

	mu        sync.Mutex
	begun     bool // the fields up to bytes are set
	history   int
	from      kv.Revision // the window has all changes after from, and up to last
	last      kv.Revision
	changes   []kv.Event
	bytes     int
	watches   map[*watching]struct{}
	byKey     map[string][]*watching // those of one key
	ranges    map[*watching]struct{} // the others
	marked    kv.Revision            // last, when all watches were last woken for a bookmark
	markedAt  time.Time
	asked     bool               // for bookmarks
	interrupt context.CancelFunc // of the wait for notifications; nil while there is none
}

// A window has so many pages, and so many bytes.
const (
	windowPages = 4
	windowBytes = windowPages * pageBytes
)

func newWindow(c Config) window {
	return window{
		page: c.Page, bookmarks: c.Bookmarks,
		watches: make(map[*watching]struct{}), byKey: make(map[string][]*watching), ranges: make(map[*watching]struct{}),
	}
}

func (v *window) add(w *watching) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.watches[w] = struct{}{}
	if key, ok := w.r.Key(); ok {
		v.byKey[key] = append(v.byKey[key], w)
	} else {
		v.ranges[w] = struct{}{}
	}
}

// remove reports whether w was the last one.
func (v *window) remove(w *watching) (last bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.watches, w)
	delete(v.ranges, w)
	if key, ok := w.r.Key(); ok {
		v.byKey[key] = slices.DeleteFunc(v.byKey[key], func(other *watching) bool { return other == w })
		if len(v.byKey[key]) == 0 {
			delete(v.byKey, key)
		}
	}
	return len(v.watches) == 0
}

// position returns up to where the window has a history, if it has begun.
func (v *window) position() (last kv.Revision, history int, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last, v.history, v.begun
}

// begin empties the window: it is at a revision of a history from now on. Its watches look for what they have missed.
func (v *window) begin(history int, at kv.Revision) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.begun, v.history, v.from, v.last, v.changes, v.bytes = true, history, at, at, nil, 0
	v.rouseEach()
}

// extend adds the changes up to a revision, and wakes the watches that they concern.
func (v *window) extend(changes []kv.Event, upTo kv.Revision) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = max(v.last, upTo)
	for _, e := range changes {
		v.bytes += size(e)
		for _, w := range v.byKey[e.Key] {
			w.rouse()
		}
		for w := range v.ranges {
			if w.r.Contains(e.Key) {
				w.rouse()
			}
		}
	}
	v.changes = append(v.changes, changes...)
	v.forget()
	if v.last > v.marked && time.Since(v.markedAt) >= v.bookmarks {
		v.rouseEach()
	}
}

// forget drops the oldest revisions until the rest is small enough.
func (v *window) forget() {
	n := 0
	for n < len(v.changes) && (len(v.changes)-n > windowPages*v.page || v.bytes > windowBytes) {
		v.from = v.changes[n].ModRevision
		for n < len(v.changes) && v.changes[n].ModRevision == v.from {
			v.bytes -= size(v.changes[n])
			n++
		}
	}
	v.changes = slices.Delete(v.changes, 0, n)
}

func size(e kv.Event) int { return len(e.Key) + len(e.Value) }

// read returns a page for w, if the window has what follows a revision.
func (v *window) read(w *watching, after kv.Revision) (page backend.Page, ok bool, err error) {
	current := w.store.histories.Current()
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case current != w.history:
		return page, false, kv.ErrReset
	case !v.begun || v.history != w.history || after < v.from:
		return page, false, nil
	}
	page.UpTo, page.Bookmark = v.last, w.asked
	w.asked = false
	first := sort.Search(len(v.changes), func(i int) bool { return v.changes[i].ModRevision > after })
	bytes := 0
	for i, e := range v.changes[first:] {
		if !w.r.Contains(e.Key) {
			continue
		}
		if n := len(page.Events); n > 0 && e.ModRevision != page.Events[n-1].ModRevision && (n >= v.page || bytes+size(e) > pageBytes) {
			page.UpTo, page.More = v.changes[first+i].ModRevision-1, true
			break
		}
		page.Events = append(page.Events, e.Clone())
		bytes += size(e)
	}
	return page, true, nil
}

// ask asks for a bookmark of each watch, as soon as all was read that there is now.
func (v *window) ask() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked = true
	if v.interrupt != nil {
		v.interrupt()
	}
}

func (v *window) takeAsked() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	asked := v.asked
	v.asked = false
	return asked
}

// interruptible has ask interrupt a wait that begins, or with nil none. It reports false if a bookmark was asked for already.
func (v *window) interruptible(interrupt context.CancelFunc) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.interrupt = interrupt
	return !v.asked
}

// told wakes the watches if bookmarks were asked for before the last reading.
func (v *window) told(asked bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if asked {
		for w := range v.watches {
			w.asked = true
		}
		v.rouseEach()
	}
}

func (v *window) rouseAll() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rouseEach()
}

// rouseEach is called with mu held.
func (v *window) rouseEach() {
	for w := range v.watches {
		w.rouse()
	}
	v.marked, v.markedAt = v.last, time.Now()
}
