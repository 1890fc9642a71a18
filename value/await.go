package value

import (
	"context"
	"time"
)

// await returns when look may return something else, or when offer was sent to out. sent reports the second. The first call for q returns at
// once: it only asks to be notified, and what came before it would be missed.
func (r *reader[T]) await(ctx context.Context, q *request[T], due time.Duration, out chan<- Result[T], offer *Result[T]) (sent bool) {
	if q.notified == nil {
		q.notified = r.notifier.wait()
		return false
	}
	notified := q.notified
	q.notified = nil
	var late <-chan time.Time
	if due > 0 {
		timer := time.NewTimer(due)
		defer timer.Stop()
		late = timer.C
	}
	var confirm, history <-chan struct{}
	if !r.started || q.asked.atLeast > 0 || r.special().limit != nil {
		confirm = q.confirmed.Next // the others need not wake for a read that shows nothing new
	}
	if e := r.special().every; e != nil && offer == nil && !q.stale && r.started && !q.asksRead { // otherwise look would not take what was read, and this would be a busy loop
		history = e.history.done()
	}
	if offer != nil {
		select {
		case out <- *offer:
			return true
		case <-notified:
		case <-confirm:
		case <-late:
		case <-ctx.Done():
		}
		return false
	}
	select {
	case <-notified:
	case <-confirm:
	case <-history:
	case <-late:
	case <-ctx.Done():
	}
	return false
}
