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

// window has the newest changes of a history, and the watches that read them. Changes that a slow watch has not read yet may leave the window.
// Then the watch reads them from the database. So the memory is bounded even if a watch is slow (W11).
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
	byKey     map[string][]*watching // the watches of one key
	ranges    map[*watching]struct{} // the other watches
	marked    kv.Revision            // last, when all watches were last woken for a bookmark
	markedAt  time.Time
	asked     bool               // bookmarks were requested
	interrupt context.CancelFunc // ends the wait for notifications; nil if there is none
}

// These are the most pages and the most bytes of a window.
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

// remove removes w. It reports whether w was the last watch.
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

// position returns the last revision of the window and its history. ok is false if the window has not begun.
func (v *window) position() (last kv.Revision, history int, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last, v.history, v.begun
}

// begin empties the window. It now begins at a revision of a history. Its watches look for what they have missed.
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

// ask requests a bookmark for each watch. It comes as soon as all current changes were read.
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

// interruptible makes ask call interrupt from now on, or nothing if interrupt is nil. It returns false if a bookmark was requested already.
func (v *window) interruptible(interrupt context.CancelFunc) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.interrupt = interrupt
	return !v.asked
}

// wakeIfAsked wakes the watches if bookmarks were requested before the last read.
func (v *window) wakeIfAsked(asked bool) {
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

// rouseEach wakes each watch. The caller holds mu.
func (v *window) rouseEach() {
	for w := range v.watches {
		w.rouse()
	}
	v.marked, v.markedAt = v.last, time.Now()
}
