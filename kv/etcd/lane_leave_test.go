package etcd_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/kv/etcd"
)

func seconds(n ...int) (times []time.Duration) {
	for _, s := range n {
		times = append(times, time.Duration(s)*time.Second)
	}
	return times
}

// leaves are the times at which new streams are tried while none acknowledges anything. The intervals grow, because the network may be
// slow. The tries stop when each connection has been tried.
var leaves = seconds(0, 2, 4, 6, 8, 12, 20)

func TestStreamsWithoutAcknowledgementsAreAbandonedAtGrowingIntervals(t *testing.T) {
	for _, watches := range []int{1, 10} {
		t.Run(fmt.Sprint(watches), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStreams(t)
				s.delayOthers(never)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				store := etcd.New(s.client())
				for range watches {
					idle(t, ctx, store)
				}
				time.Sleep(time.Hour)
				if got := s.opened(); !slices.Equal(got, leaves) {
					t.Errorf("promised: %d unacknowledged watches try new streams after %v; they tried them after %v", watches, leaves, got)
				}
			})
		})
	}
}

func TestAStreamIsAbandonedQuicklyAgainOnceAnotherHasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		s.delayOthers(never)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store := etcd.New(s.client())
		idle(t, ctx, store)
		time.Sleep(9 * time.Second)
		s.delayOthers(0) // the next stream, tried after 12 s, acknowledges
		time.Sleep(time.Minute)
		last := len(s.opened()) - 1
		s.silence(s.name(last))
		idle(t, ctx, store)
		asked := time.Since(s.began)
		time.Sleep(time.Minute)
		got := s.opened()
		if last != 5 || len(got) != last+2 || got[last+1]-asked != 2*time.Second {
			t.Errorf("promised: the sixth stream, which acknowledged earlier, is left after 2 s; the watch was requested after %v, and streams were tried after %v", asked, got)
		}
	})
}

// closable is a fake that may be closed: a client closes its watcher when it is closed.
type closable struct{ *fake }

func (closable) Close() error { return nil }

// A new stream would wait for the same connection as the old one.
func TestNoStreamIsAbandonedWhileTheClientHasNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newCounting(t, 1), newStreams(t)
		s.delayOthers(never)
		client := m.client(func(c clientv3.Config) clientv3.Config {
			c.DialOptions = append(c.DialOptions, grpc.WithIdleTimeout(0)) // as the stream of a real watch keeps the connection in use
			return c
		})
		client.Watcher = closable{s.client()}
		connected(t.Context(), client)
		m.Stop()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		idle(t, ctx, etcd.New(client))
		time.Sleep(time.Hour)
		if got := s.opened(); len(got) != 1 {
			t.Errorf("promised: without a connection no stream is left; streams were tried after %v", got)
		}
		m.start()
		time.Sleep(time.Minute)
		if got := s.opened(); len(got) != len(leaves) {
			t.Errorf("promised: with a connection %d streams are tried; streams were tried after %v", len(leaves), got)
		}
	})
}

// etcd's client sends the requests of a stream one after the other. So each request waits for all requests before it.
func TestAStreamThatAcknowledgesInTurnIsNotAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		s.delayOthers(1500 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store := etcd.New(s.client())
		for range 10 {
			idle(t, ctx, store)
		}
		time.Sleep(time.Minute)
		if got := s.opened(); len(got) != 1 || s.watches("0") != 10 {
			t.Errorf("promised: ten watches wait for their turn in one stream; %d watches were requested in it, and streams were tried after %v", s.watches("0"), got)
		}
	})
}
