package etcd_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
)

// idle is a watch of store that is under way.
func idle(t *testing.T, ctx context.Context, store *etcd.Store) (ended <-chan error) {
	end := make(chan error, 1)
	go func() {
		for _, err := range store.Watch(ctx, kv.Key("k"), 10) {
			if err != nil {
				end <- err
			}
		}
	}()
	synctest.Wait()
	return end
}

func TestAReadAsksWhetherAQuietStreamIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store := etcd.New(s.client())
		ended := idle(t, ctx, store)
		s.silence("0")
		time.Sleep(5 * time.Second)
		must(store.Get(ctx, kv.Key("k")))(t)
		began := time.Now()
		select {
		case err := <-ended:
			if !errors.Is(err, kv.ErrUnavailable) || !strings.Contains(err.Error(), "DialKeepAliveTime") {
				t.Errorf("promised: the end of the watch says what is probable; it was %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("promised: a watch ends whose stream answers nothing while another stream does; it went on for a minute")
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("the watch ended %v after the read", d)
		}
	})
}

// A lane is left after a refusal, and the watches that run in it are as good as before.
func TestAStreamThatWasLeftAfterARefusalIsNotTakenForDead(t *testing.T) {
	for range 20 { // what is ready first is a matter of chance
		synctest.Test(t, func(t *testing.T) {
			s := newStreams(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			store := etcd.New(s.client())
			ended := idle(t, ctx, store)
			s.refuse.Store(true)
			for range store.Watch(ctx, kv.Key("other"), 10) {
			}
			s.refuse.Store(false)
			for range 5 {
				time.Sleep(time.Minute)
				must(store.Get(ctx, kv.Key("k")))(t)
				synctest.Wait()
			}
			time.Sleep(time.Minute)
			select {
			case err := <-ended:
				t.Fatalf("promised: a watch that works goes on; it ended with %v", err)
			default:
			}
			if s.watches("0") < 4 {
				t.Errorf("the stream was asked %d times whether it is alive, want each time", s.watches("0"))
			}
		})
	}
}

// Where no stream answers there is no better one.
func TestAStreamIsNotTakenForDeadWhileNoOtherAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client := s.client()
		healthy := client.watch
		var slow atomic.Bool
		client.watch = func(ctx context.Context, op clientv3.Op) clientv3.WatchChan {
			if slow.Load() { // every stream
				select {
				case <-s.closed:
				case <-ctx.Done():
				}
			}
			return healthy(ctx, op)
		}
		store := etcd.New(client)
		ended := idle(t, ctx, store)
		slow.Store(true)
		time.Sleep(5 * time.Second)
		must(store.Get(ctx, kv.Key("k")))(t)
		time.Sleep(10 * time.Minute)
		select {
		case err := <-ended:
			t.Errorf("promised: a watch goes on while no other stream answers; it ended with %v", err)
		default:
		}
	})
}

// link is a client whose answers take their time.
type link struct {
	whole, small time.Duration
	wholes       atomic.Int32 // reads of the value
	smalls       atomic.Int32 // reads of less
	dead         func(n int32) bool
}

func (l *link) client() *fake {
	var n atomic.Int32
	return &fake{get: func(ctx context.Context, op clientv3.Op) (*clientv3.GetResponse, error) {
		d, count := l.whole, &l.wholes
		if op.IsCountOnly() || op.IsKeysOnly() {
			d, count = l.small, &l.smalls
		}
		count.Add(1)
		if l.dead != nil && l.dead(n.Add(1)) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		select {
		case <-time.After(d):
			return &clientv3.GetResponse{Header: header(10)}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}

// A second transfer of a large value makes a slow link slower.
func TestAReadOverASlowLinkIsSentOnce(t *testing.T) {
	for _, small := range []time.Duration{10 * time.Millisecond, 700 * time.Millisecond, 4 * time.Second} {
		t.Run(small.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &link{whole: 5 * time.Minute, small: small}
				must(etcd.New(l.client()).Get(t.Context(), kv.Key("k")))(t)
				if n := l.wholes.Load(); n != 1 {
					t.Errorf("promised: a slow read is sent once while small ones are answered in turn; it was sent %d times", n)
				}
			})
		})
	}
}

func TestAReadOnADeadConnectionIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The first read and every third request are given the connection that is dead.
		l := &link{whole: time.Millisecond, small: time.Millisecond, dead: func(n int32) bool { return n%3 == 1 }}
		began := time.Now()
		must(etcd.New(l.client()).Get(t.Context(), kv.Key("k")))(t)
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("the read was answered after %v", d)
		}
	})
}

func TestAnOutageCostsABoundedNumberOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &link{dead: func(int32) bool { return true }}
		ctx, cancel := context.WithTimeout(t.Context(), 48*time.Hour)
		defer cancel()
		if _, err := etcd.New(l.client()).Get(ctx, kv.Key("k")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if n := l.wholes.Load() + l.smalls.Load(); n > 20 {
			t.Errorf("promised: requests that are not answered do not pile up; in two days %d were sent", n)
		}
	})
}
