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

// leaves is when each stream is tried while none acknowledges anything: quickly at first, then more and more slowly, as the network may be
// slow, and no more when each connection has been tried.
var leaves = seconds(0, 2, 4, 6, 8, 12, 20)

func TestStreamsThatAcknowledgeNothingAreLeftMoreAndMoreSlowly(t *testing.T) {
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
					t.Errorf("promised: %d watches that are not acknowledged try streams after %v; they did after %v", watches, leaves, got)
				}
			})
		})
	}
}

func TestAStreamIsLeftQuicklyAgainOnceAnotherHasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		s.delayOthers(never)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store := etcd.New(s.client())
		idle(t, ctx, store)
		time.Sleep(9 * time.Second)
		s.delayOthers(0) // the next stream acknowledges, after 12 s
		time.Sleep(time.Minute)
		last := len(s.opened()) - 1
		s.silence(s.name(last))
		idle(t, ctx, store)
		asked := time.Since(s.began)
		time.Sleep(time.Minute)
		got := s.opened()
		if last != 5 || len(got) != last+2 || got[last+1]-asked != 2*time.Second {
			t.Errorf("promised: the stream that acknowledged, the sixth, is left after 2 s; the watch was requested after %v, and streams were tried after %v", asked, got)
		}
	})
}

// closable is a fake that may be closed, as the client's own watcher is with the client.
type closable struct{ *fake }

func (closable) Close() error { return nil }

// A stream has the connection that it began with, so another one would wait for the same.
func TestNoStreamIsLeftWhileTheClientHasNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newCounting(t, 1), newStreams(t)
		s.delayOthers(never)
		client := m.client(func(c clientv3.Config) clientv3.Config {
			c.DialOptions = append(c.DialOptions, grpc.WithIdleTimeout(0)) // the stream of a real watch keeps the connection
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
			t.Errorf("promised: with a connection %d streams are tried; they were after %v", len(leaves), got)
		}
	})
}

// etcd's client sends the requests of a stream one after the other, so each waits for all before it.
func TestAStreamIsNotLeftWhileItAcknowledgesInTurn(t *testing.T) {
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
			t.Errorf("promised: ten watches wait for their turn in one stream; %d were requested in it, and streams were tried after %v", s.watches("0"), got)
		}
	})
}
