// Package mapresolver lets gRPC find the endpoints of a service in a [value.Map]. It is a separate package, so that programs without gRPC do
// not link gRPC.
//
//	conn, err := grpc.NewClient("svc:///greeter",
//		grpc.WithResolvers(mapresolver.New("svc", func(service string) *value.Map[endpoint.Endpoint] {
//			return endpoint.NewMap(store, service)
//		})),
//		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
package mapresolver

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc/resolver"

	"github.com/watchkv/watchkv/examples/endpoints/endpoint"
	"github.com/watchkv/watchkv/value"
)

// New returns a resolver of targets such as "svc:///greeter", where svc is the scheme. endpoints returns the Map of a service. It may always
// return the same Map for the same service. Then all connections share one watch of the store.
func New(scheme string, endpoints func(service string) *value.Map[endpoint.Endpoint]) resolver.Builder {
	return &builder{scheme: scheme, endpoints: endpoints}
}

type builder struct {
	scheme    string
	endpoints func(service string) *value.Map[endpoint.Endpoint]
}

func (b *builder) Scheme() string { return b.scheme }

// Build begins to follow the endpoints of the target. gRPC calls it when a connection is first used, and again after a time without use.
func (b *builder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	service := target.Endpoint()
	if service == "" {
		return nil, fmt.Errorf("mapresolver: the target %q names no service", target.URL.String())
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &mapResolver{cc: cc, stop: stop, done: make(chan struct{})}
	go r.follow(ctx, b.endpoints(service))
	return r, nil
}

// mapResolver follows the Map for one connection.
type mapResolver struct {
	cc   resolver.ClientConn
	stop func()
	done chan struct{}
}

func (r *mapResolver) follow(ctx context.Context, m *value.Map[endpoint.Endpoint]) {
	defer close(r.done)
	var known []endpoint.Endpoint
	for view, err := range m.Updates(ctx) {
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if known == nil { // otherwise keep the list, because an old list is better than none
				r.cc.ReportError(fmt.Errorf("mapresolver: %w", err))
			}
			continue
		}
		list := endpoint.Usable(view)
		if known == nil || !slices.Equal(list, known) {
			known = list
			// For an empty list UpdateState returns an error, to ask for another resolution. The Map reports every change anyway.
			_ = r.cc.UpdateState(resolver.State{Addresses: addresses(list)})
		}
	}
}

// addresses returns the list in the form that every balancing policy of gRPC understands.
func addresses(list []endpoint.Endpoint) []resolver.Address {
	all := make([]resolver.Address, len(list))
	for i, e := range list {
		all[i] = resolver.Address{Addr: e.Addr}
	}
	return all
}

// ResolveNow does nothing, because every change is reported at once.
func (r *mapResolver) ResolveNow(resolver.ResolveNowOptions) {}

// Close stops the reports. When it returns, nothing more is reported.
func (r *mapResolver) Close() {
	r.stop()
	<-r.done
}
