package value

import "sync"

// notifier wakes all who wait for it. Its zero value is ready.
type notifier struct {
	mu       sync.Mutex
	notified chan struct{} // closed by notify; nil while no watcher waits
	watchers int           // that share the notifier; guarded by the mutex of its notifiers
}

// wait returns a channel that is closed when the notifier is notified after the call.
func (b *notifier) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.notified == nil {
		b.notified = make(chan struct{})
	}
	return b.notified
}

func (b *notifier) notify() {
	b.mu.Lock()
	notified := b.notified
	b.notified = nil
	b.mu.Unlock()
	if notified != nil {
		close(notified)
	}
}

// notifiers are those of the watchers of one Value. A watcher waits for its notifier and for its context, and for nothing else, because
// each channel that a goroutine waits for takes memory. So the notifier must also report that the watcher was closed. The other
// watchers that share the notifier then wake in vain. A notifier is shared, so that many watchers need few channels, but
// by few watchers, so that a Close wakes few others.
type notifiers struct {
	mu  sync.Mutex
	all []*notifier
}

const watchersPerNotifier = 32

// join returns a notifier for one more watcher.
func (b *notifiers) join() *notifier {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.all) - 1
	if last < 0 || b.all[last].watchers == watchersPerNotifier {
		b.all = append(b.all, new(notifier))
		last++
	}
	b.all[last].watchers++
	return b.all[last]
}

// leave takes a watcher from its notifier.
func (b *notifiers) leave(left *notifier) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left.watchers--; left.watchers > 0 {
		return
	}
	for i, other := range b.all {
		if other == left {
			last := len(b.all) - 1
			b.all[i], b.all[last] = b.all[last], nil
			b.all = b.all[:last]
			return
		}
	}
}

// ring rings all of them.
func (b *notifiers) notify() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, notifier := range b.all {
		notifier.notify()
	}
}
