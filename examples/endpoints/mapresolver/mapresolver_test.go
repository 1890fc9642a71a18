package mapresolver_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/watchkv/watchkv/examples/endpoints/endpoint"
	"github.com/watchkv/watchkv/examples/endpoints/mapresolver"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// scene has gRPC servers and a gRPC client, with connections in memory, in a bubble.
type scene struct {
	t       *testing.T
	store   *fault.Store
	servers map[string]*bufconn.Listener
	asked   map[string]int // how many requests each server got; not locked, because one request is made at a time
}

func inBubble(t *testing.T, test func(s *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, store: fault.New(memory.New()), servers: make(map[string]*bufconn.Listener), asked: make(map[string]int)}
		for _, addr := range []string{"a", "b", "c"} {
			l := bufconn.Listen(1 << 16)
			s.servers[addr] = l
			server := grpc.NewServer(grpc.UnaryInterceptor(
				func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
					s.asked[addr]++
					return handle(ctx, req)
				}))
			grpc_health_v1.RegisterHealthServer(server, health.NewServer())
			go server.Serve(l)
			defer server.Stop()
		}
		test(s)
	})
}

// connect returns a client of the service. It finds the endpoints in m.
func (s *scene) connect(m *value.Map[endpoint.Endpoint]) (client grpc_health_v1.HealthClient, end func()) {
	s.t.Helper()
	conn, err := grpc.NewClient("svc:///greeter",
		grpc.WithResolvers(mapresolver.New("svc", func(service string) *value.Map[endpoint.Endpoint] {
			if service != "greeter" {
				s.t.Errorf("asked for the endpoints of %q", service)
			}
			return m
		})),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return s.servers[addr].DialContext(ctx)
		}))
	if err != nil {
		s.t.Fatal(err)
	}
	return grpc_health_v1.NewHealthClient(conn), func() { conn.Close() }
}

func (s *scene) put(addr string) { s.putBytes(addr, fmt.Sprintf(`{"addr":%q}`, addr)) }

func (s *scene) putBytes(instance, encoded string) {
	s.t.Helper()
	if _, err := s.store.Put(s.t.Context(), endpoint.Key("greeter", instance), []byte(encoded)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) delete(addr string) {
	s.t.Helper()
	if _, err := s.store.Delete(s.t.Context(), endpoint.Key("greeter", addr)); err != nil {
		s.t.Fatal(err)
	}
}

// wantAsked makes six requests, and checks how many of them each server has got.
func (s *scene) wantAsked(client grpc_health_v1.HealthClient, want string) {
	s.t.Helper()
	synctest.Wait()
	clear(s.asked)
	for range 6 {
		if _, err := client.Check(s.t.Context(), new(grpc_health_v1.HealthCheckRequest)); err != nil {
			s.t.Fatal(err)
		}
	}
	if got := fmt.Sprint(s.asked); got != "map["+want+"]" {
		s.t.Errorf("requests went to %s, want %s", got, want)
	}
}

func TestRequestsGoToTheEndpointsOfTheMap(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.put("a")
		s.put("b")
		client, end := s.connect(endpoint.NewMap(s.store, "greeter"))
		defer end()
		_, err := client.Check(s.t.Context(), new(grpc_health_v1.HealthCheckRequest)) // this makes gRPC connect
		if err != nil {
			s.t.Fatal(err)
		}
		s.wantAsked(client, "a:3 b:3")
		s.put("c")
		s.wantAsked(client, "a:2 b:2 c:2")
		s.delete("a")
		s.wantAsked(client, "b:3 c:3")
		s.putBytes("b", "{")  // bad: b keeps its last good value
		s.putBytes("d", "{}") // gRPC cannot use this address, and ignores it
		s.delete("d")
		s.putBytes("e", "{") // it never had a good value
		s.wantAsked(client, "b:3 c:3")
	})
}

func TestAnOutageOfTheStoreDoesNotChangeTheEndpoints(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.put("a")
		s.put("b")
		client, end := s.connect(endpoint.NewMap(s.store, "greeter"))
		defer end()
		client.Check(s.t.Context(), new(grpc_health_v1.HealthCheckRequest))
		s.store.Cut()
		time.Sleep(10 * time.Minute)
		s.wantAsked(client, "a:3 b:3")
		s.store.Heal()
		s.delete("b")
		s.wantAsked(client, "a:6")
	})
}

func TestRequestsWithoutAnEndpointFailOrWaitForReady(t *testing.T) {
	inBubble(t, func(s *scene) {
		client, end := s.connect(endpoint.NewMap(s.store, "greeter"))
		defer end()
		if _, err := client.Check(s.t.Context(), new(grpc_health_v1.HealthCheckRequest)); status.Code(err) != codes.Unavailable {
			s.t.Errorf("without an endpoint the error is %v, want Unavailable", err)
		}
		time.AfterFunc(time.Hour, func() { s.put("a") })
		ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Hour)
		defer cancel()
		if _, err := client.Check(ctx, new(grpc_health_v1.HealthCheckRequest), grpc.WaitForReady(true)); err != nil {
			s.t.Errorf("a request that waits for an endpoint: %v", err)
		}
	})
}

func TestRequestsReportAnUnreachableStoreWhileNoEndpointIsKnown(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.put("a")
		s.store.Cut()
		client, end := s.connect(endpoint.NewMap(s.store, "greeter"))
		defer end()
		_, err := client.Check(s.t.Context(), new(grpc_health_v1.HealthCheckRequest))
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), value.ErrStale.Error()) {
			s.t.Errorf("the error is %v, want Unavailable with the reason", err)
		}
		s.store.Heal()
		synctest.Wait()
		s.wantAsked(client, "a:6")
	})
}

func TestConnectionsOfOneMapShareOneWatch(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.put("a")
		m := endpoint.NewMap(s.store, "greeter")
		for range 3 {
			client, end := s.connect(m)
			defer end()
			s.wantAsked(client, "a:6")
		}
		if n := s.store.Counts().Streams; n != 1 {
			s.t.Errorf("three connections have %d watches of the store, want one", n)
		}
	})
}

func TestNothingIsLeftWhenTheConnectionIsClosed(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.put("a")
		client, end := s.connect(endpoint.NewMap(s.store, "greeter"))
		s.wantAsked(client, "a:6")
		end()
		if n := s.store.Counts().Streams; n != 0 {
			s.t.Errorf("%d watches of the store are left", n)
		}
	})
}

// recorder stands for gRPC: a resolver reports to it.
type recorder struct {
	resolver.ClientConn
	reports []string // may be read when nothing runs
}

func (r *recorder) UpdateState(s resolver.State) error {
	var all []string
	for _, a := range s.Addresses {
		all = append(all, a.Addr)
	}
	r.reports = append(r.reports, strings.Join(all, " "))
	return nil
}

func (r *recorder) ReportError(err error) { r.reports = append(r.reports, "error") }

func TestOnlyChangesOfTheListAreReported(t *testing.T) {
	inBubble(t, func(s *scene) {
		var r recorder
		b := mapresolver.New("svc", func(service string) *value.Map[endpoint.Endpoint] { return endpoint.NewMap(s.store, service) })
		built, err := b.Build(resolver.Target{URL: url.URL{Scheme: "svc", Path: "/greeter"}}, &r, resolver.BuildOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		want := func(reports ...string) {
			s.t.Helper()
			synctest.Wait()
			if fmt.Sprintf("%q", r.reports) != fmt.Sprintf("%q", reports) {
				s.t.Errorf("reported were %q, want %q", r.reports, reports)
			}
			r.reports = nil
		}
		want("") // an empty list is reported, so that gRPC need not wait
		s.put("a")
		want("a")
		s.put("a")
		s.putBytes("a", "{")
		built.ResolveNow(resolver.ResolveNowOptions{})
		want()
		_, err = s.store.Commit(s.t.Context(), kv.DeleteOp(endpoint.Key("greeter", "a")), kv.PutOp(endpoint.Key("greeter", "b"), []byte(`{"addr":"b"}`)))
		if err != nil {
			s.t.Fatal(err)
		}
		want("b") // in one step
		s.store.Cut()
		time.Sleep(time.Hour)
		want()
		s.store.Heal()
		built.Close()
		s.put("c")
		want()
	})
}

func TestATargetWithoutAServiceIsRejected(t *testing.T) {
	b := mapresolver.New("svc", nil)
	if b.Scheme() != "svc" {
		t.Errorf("the scheme is %q", b.Scheme())
	}
	if _, err := b.Build(resolver.Target{URL: url.URL{Scheme: "svc", Path: "/"}}, nil, resolver.BuildOptions{}); err == nil {
		t.Error("a target without a service was resolved")
	}
}
