// Package balance keeps the live list of a service's endpoints, and picks one for each request, in turn.
package balance

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/watchkv/watchkv/examples/endpoints/endpoint"
	"github.com/watchkv/watchkv/value"
)

// ErrNoEndpoint is returned when no instance of the service is registered.
var ErrNoEndpoint = errors.New("no endpoint")

// List is the live list of endpoints. All methods may be called concurrently.
type List struct {
	stop func()
	done chan struct{}
	now  atomic.Pointer[state]
	turn atomic.Uint64
}

// state is the list at one time. It never changes.
type state struct {
	all      []endpoint.Endpoint
	replaced chan struct{} // closed when there is a newer state
}

// Open returns the list when it is complete, and keeps it current until Close. An outage of the store delays Open. It does not change an open
// list, because an old list is better than none.
func Open(ctx context.Context, endpoints *value.Map[endpoint.Endpoint]) (*List, error) {
	w := endpoints.Watch()
	first, err := w.Get(ctx)
	for ; err != nil; first, err = w.Get(ctx) {
		if ctx.Err() != nil || value.IsFinal(err) {
			w.Close()
			return nil, err
		}
	}
	running, stop := context.WithCancel(context.Background())
	l := &List{stop: stop, done: make(chan struct{})}
	l.set(first)
	go l.follow(running, w)
	return l, nil
}

func (l *List) follow(ctx context.Context, w *value.Watcher[value.View[endpoint.Endpoint]]) {
	defer close(l.done)
	defer w.Close()
	for view, err := range w.Updates(ctx) {
		if err == nil {
			l.set(view)
		}
	}
}

func (l *List) set(view value.View[endpoint.Endpoint]) {
	old := l.now.Swap(&state{all: endpoint.Usable(view), replaced: make(chan struct{})})
	if old != nil {
		close(old.replaced)
	}
}

// All returns all endpoints. Do not change the slice.
func (l *List) All() []endpoint.Endpoint { return l.now.Load().all }

// Wait waits until the list satisfies enough, for example until it has its first endpoint. It returns an error when ctx ends.
func (l *List) Wait(ctx context.Context, enough func([]endpoint.Endpoint) bool) error {
	for {
		now := l.now.Load()
		if enough(now.all) {
			return nil
		}
		select {
		case <-now.replaced:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Pick returns the next endpoint. The error is [ErrNoEndpoint] if there is none.
func (l *List) Pick() (endpoint.Endpoint, error) {
	all := l.All()
	if len(all) == 0 {
		return endpoint.Endpoint{}, ErrNoEndpoint
	}
	return all[l.turn.Add(1)%uint64(len(all))], nil
}

// Close stops the updates of the list. The list keeps its endpoints.
func (l *List) Close() {
	l.stop()
	<-l.done
}
