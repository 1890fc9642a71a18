package value

import "time"

// quiet waits out a burst of updates for a watcher with the option [Quiet].
type quiet[T any] struct {
	quiet, most time.Duration

	waiting *update[T] // the newest of the burst; nil if there is none
	since   time.Time  // when the burst was seen first
	last    time.Time  // when waiting came
}

// settle takes the newest update and when it came; nil if there is nothing new. It returns the update if nothing has come for long enough.
// Otherwise it returns in how long to look again, which is due or earlier.
func (q *quiet[T]) settle(u *update[T], at time.Time, first bool, due time.Duration) (*update[T], time.Duration) {
	if u == nil || first {
		q.over()
		return u, due
	}
	if q.waiting == nil {
		q.since = at
	}
	if q.waiting != u {
		q.waiting, q.last = u, at
	}
	left := min(time.Until(q.last.Add(q.quiet)), time.Until(q.since.Add(q.most)))
	if left <= 0 {
		return u, due
	}
	if due == 0 || left < due {
		due = left
	}
	return nil, due
}

// over forgets the burst.
func (q *quiet[T]) over() { q.waiting = nil }
