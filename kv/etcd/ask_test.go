package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// link makes clients whose reads take a set time, or are never answered.
type link struct {
	valueDelay, smallDelay time.Duration
	valueReads             atomic.Int32 // reads that return the value
	smallReads             atomic.Int32 // reads that return only a count or keys
	dead                   func(n int32) bool
}

func (l *link) client() *fake {
	var n atomic.Int32
	return &fake{get: func(ctx context.Context, op clientv3.Op) (*clientv3.GetResponse, error) {
		d, count := l.valueDelay, &l.valueReads
		if op.IsCountOnly() || op.IsKeysOnly() {
			d, count = l.smallDelay, &l.smallReads
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

// A second transfer of a large value would slow down a slow link even more.
func TestAReadOverASlowLinkIsSentOnce(t *testing.T) {
	for _, small := range []time.Duration{10 * time.Millisecond, 700 * time.Millisecond, 4 * time.Second} {
		t.Run(small.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &link{valueDelay: 5 * time.Minute, smallDelay: small}
				must(etcd.New(l.client()).Get(t.Context(), kv.Key("k")))(t)
				if n := l.valueReads.Load(); n != 1 {
					t.Errorf("promised: a slow read is sent only once while small reads are answered; it was sent %d times", n)
				}
			})
		})
	}
}

// The connection that carries the large answer answers small reads late, and connections to other members have nothing to carry.
func TestASlowConnectionIsNotTakenForADeadOne(t *testing.T) {
	const size = 1 << 20
	for _, members := range []int{1, 3} {
		for _, perSecond := range []int{5_000, 20_000, 50_000} {
			t.Run(fmt.Sprintf("%d members, %d bytes a second", members, perSecond), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cluster := etcdmem.Start(t, members)
					store := etcd.New(cluster.Client())
					must(store.Put(t.Context(), "k", make([]byte, size)))(t)
					cluster.Network().Throttle(perSecond)
					began := time.Now()
					must(store.Get(t.Context(), kv.Key("k")))(t)
					if took, needs := time.Since(began), time.Second*size/time.Duration(perSecond); took > needs*5/4 {
						t.Errorf("promised: a read is not slowed down by a second transfer; it needs %v and took %v", needs, took)
					}
				})
			})
		}
	}
}

func TestAReadOnADeadConnectionIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The first read and every third request use the dead connection.
		l := &link{valueDelay: time.Millisecond, smallDelay: time.Millisecond, dead: func(n int32) bool { return n%3 == 1 }}
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
		if n := l.valueReads.Load() + l.smallReads.Load(); n > 20 {
			t.Errorf("promised: unanswered requests do not pile up; in two days %d requests were sent", n)
		}
	})
}
