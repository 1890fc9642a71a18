package server

import (
	"cmp"
	"container/heap"
	"time"
)

// deadlines has the time at which each lease expires, in a heap.
type deadlines struct {
	byID  map[int64]*deadline
	first byDue
}

type deadline struct {
	id     int64
	expiry time.Time
	due    time.Time     // the expiry, or the later time of the next attempt to revoke it
	at     int           // its place in the heap
	gone   chan struct{} // closed when the lease is gone
}

// set sets the time at which a lease expires.
func (d *deadlines) set(id int64, expiry time.Time) {
	if d.byID == nil {
		d.byID = make(map[int64]*deadline)
	}
	dl := d.byID[id]
	if dl == nil {
		dl = &deadline{id: id, due: expiry, gone: make(chan struct{})}
		d.byID[id] = dl
		heap.Push(&d.first, dl)
	}
	dl.expiry = expiry
	d.postpone(dl, expiry)
}

func (d *deadlines) postpone(dl *deadline, due time.Time) {
	dl.due = due
	heap.Fix(&d.first, dl.at)
}

func (d *deadlines) remove(id int64) {
	if dl := d.byID[id]; dl != nil {
		heap.Remove(&d.first, dl.at)
		delete(d.byID, id)
		close(dl.gone)
	}
	if len(d.byID) == 0 {
		*d = deadlines{} // a map keeps the room that it has had
	}
}

// expiry returns when a lease expires, or the zero time if that is not known.
func (d *deadlines) expiry(id int64) time.Time {
	if dl := d.byID[id]; dl != nil {
		return dl.expiry
	}
	return time.Time{}
}

// next returns the deadline that is due first.
func (d *deadlines) next() (dl *deadline, ok bool) {
	if len(d.first) == 0 {
		return nil, false
	}
	return d.first[0], true
}

// byDue is a heap.
type byDue []*deadline

func (h byDue) Len() int { return len(h) }
func (h byDue) Less(i, j int) bool {
	return cmp.Or(h[i].due.Compare(h[j].due), cmp.Compare(h[i].id, h[j].id)) < 0
}
func (h byDue) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *byDue) Push(x any) {
	dl := x.(*deadline)
	dl.at = len(*h)
	*h = append(*h, dl)
}

func (h *byDue) Pop() any {
	last := len(*h) - 1
	dl := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return dl
}
