// Package balance keeps the live list of a service's endpoints, and picks one for each request, in turn.
package balance

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/watchkv/watchkv/examples/endpoints/endpoint"
	"github.com/watchkv/watchkv/value"
)

// ErrNoEndpoint: no instance of the service is registered.
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
	replaced chan struct{} // closed when there is a newer one
}

// Open returns the list when it is complete, and keeps it current until Close. An outage of the store delays Open, and leaves an open list
// as it is: an old list is better than none.
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

// Wait returns when the list satisfies enough, as it does when the first endpoint is there, or when ctx ends.
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

// Close ends the following of the list. The list stays as it is.
func (l *List) Close() {
	l.stop()
	<-l.done
}
