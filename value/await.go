package value

import (
	"context"
	"time"
)

// await returns when look may come to something else, or when offer, if there is one, was sent to out, which it reports. The first time it
// returns at once: it has asked to be notified, and nothing reports what came before that.
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
	if !r.started || q.asked.atLeast > 0 || r.limit != nil {
		confirm = q.confirmed.Next // to the others a read that shows nothing new is nothing to wake for
	}
	if r.every != nil && offer == nil && !q.stale && r.started && !q.asksRead { // or what was read would not be taken, and this would spin
		history = r.every.history.done()
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
