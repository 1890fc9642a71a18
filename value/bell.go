package value

import "sync"

// bell wakes all who wait for it. Its zero value is ready.
type bell struct {
	mu       sync.Mutex
	rung     chan struct{} // closed by ring; nil while nobody waits
	watchers int           // that share the bell; guarded by the mutex of its bells
}

// wait returns a channel that is closed when the bell is rung after the call.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	rung := b.rung
	b.rung = nil
	b.mu.Unlock()
	if rung != nil {
		close(rung)
	}
}

// bells are those of a Value's watchers. A watcher waits for its bell and for its context and for nothing else, because
// each thing that a goroutine waits for takes memory. So its bell also tells it that it was closed, for which
// the watchers that share the bell are woken in vain: few to a bell, that none has many companions, but not one, that
// the channels of a large crowd are few.
type bells struct {
	mu  sync.Mutex
	all []*bell
}

const watchersPerBell = 32

// join returns a bell for one more watcher.
func (b *bells) join() *bell {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.all) - 1
	if last < 0 || b.all[last].watchers == watchersPerBell {
		b.all = append(b.all, new(bell))
		last++
	}
	b.all[last].watchers++
	return b.all[last]
}

// leave takes a watcher from its bell.
func (b *bells) leave(left *bell) {
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
func (b *bells) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bell := range b.all {
		bell.ring()
	}
}
