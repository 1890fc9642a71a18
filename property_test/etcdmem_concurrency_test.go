package property_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// candidate is a session with its mutex and its election. A session does one thing at a time.
type candidate struct {
	*concurrency.Session
	mutex    *concurrency.Mutex
	election *concurrency.Election
	waits    atomic.Bool // for a lock or an election
	busy     *sync.WaitGroup
	came     *channel
}

func sessions(r *packageRun) func(call) {
	var all []*candidate
	begin := func(id clientv3.LeaseID) {
		s, err := concurrency.NewSession(r.client, concurrency.WithTTL(100_000), concurrency.WithLease(id), concurrency.WithContext(r.ctx))
		if err != nil {
			r.answer("session", nil, err)
			return
		}
		r.lease(s.Lease())
		c := &candidate{Session: s, busy: new(sync.WaitGroup), came: r.newChannel(fmt.Sprint("session ", len(all)))}
		c.mutex, c.election = concurrency.NewMutex(s, "m"), concurrency.NewElection(s, of(len(all), "e", "e", "m/", "e"))
		r.atEnd(c.busy.Wait)
		all = append(all, c)
	}
	for range 4 {
		begin(0)
	}
	n := 0
	return func(c call) {
		s := all[c[0]%len(all)]
		name := fmt.Sprint("session ", c[0]%len(all))
		wait := func(what string, f func(ctx context.Context) error) {
			if s.waits.Load() {
				return
			}
			s.waits.Store(true)
			s.busy.Go(func() {
				err := f(r.ctx)
				s.waits.Store(false)
				s.came.add("%s: %v; mutex %q at %d, election %q at %d of %d", what, err,
					s.mutex.Key(), s.mutex.Header().GetRevision(), s.election.Key(), s.election.Header().GetRevision(), s.election.Rev())
			})
		}
		idle := func(what string, f func(ctx context.Context) error) {
			if s.waits.Load() {
				return
			}
			err := f(r.ctx)
			r.note("   %s %s: %v; mutex %q at %d, election %q at %d of %d", name, what, err,
				s.mutex.Key(), s.mutex.Header().GetRevision(), s.election.Key(), s.election.Header().GetRevision(), s.election.Rev())
		}
		value := fmt.Sprint("v", c[2])
		switch n0 := c[1]; {
		case n0 < 10:
			wait("lock", s.mutex.Lock)
		case n0 < 18:
			idle("try lock", s.mutex.TryLock)
		case n0 < 25:
			idle("unlock", s.mutex.Unlock)
		case n0 < 43:
			wait("campaign", func(ctx context.Context) error { return s.election.Campaign(ctx, value) })
		case n0 < 50:
			idle("resign", s.election.Resign)
		case n0 < 60:
			idle("proclaim", func(ctx context.Context) error { return s.election.Proclaim(ctx, value) })
		case n0 < 64:
			resp, err := s.election.Leader(r.ctx)
			r.answer(name+" leader", resp, err)
		case n0 < 70:
			n++
			ch := r.newChannel(fmt.Sprint("observer ", n))
			seen := s.election.Observe(r.ctx)
			go func() {
				for resp := range seen {
					ch.add("at %d: %s", resp.Header.Revision, kvsText(resp.Kvs)) // the count depends on whether a read or a watch has found it
				}
			}()
		case n0 < 77:
			_, err := r.client.Revoke(r.ctx, s.Lease())
			r.answer(name+" revoked", "done", err)
		case n0 < 80:
			idle("close", func(context.Context) error { return s.Close() })
		case n0 < 82:
			idle("orphan", func(context.Context) error { s.Orphan(); return nil })
		case n0 < 85:
			begin(of(c[3], 0, s.Lease(), 0, 12345))
		case n0 < 88:
			leader := fmt.Sprintf("%s/%x", of(c[3], "m", "e", "m/"), int64(s.Lease()))
			rev := r.start + int64(c[4]%20)
			if s.waits.Load() {
				return
			}
			s.election = concurrency.ResumeElection(s.Session, of(c[3], "m", "e", "m/"), leader, rev)
			r.note("   %s resumes %q at %d", name, leader, rev)
		case n0 < 94:
			resp, err := r.client.Txn(r.ctx).If(s.mutex.IsOwner()).Then(clientv3.OpPut("owner", name)).Commit()
			r.answer("put as "+name, resp, err)
		default:
			resp, err := r.client.Get(r.ctx, "", clientv3.WithPrefix())
			r.answer("all", resp, err)
		}
	}
}

func transactions(r *packageRun) func(call) {
	return func(c call) {
		key := func(n int) string { return of(n, "a", "b", "c", "ab") }
		level := concurrency.Isolation(c[0] % 4)
		attempts := 0
		ctx := r.ctx
		if c[6]%20 == 19 {
			gone, cancel := context.WithCancel(r.ctx)
			cancel()
			ctx = gone
		}
		var prefetch []string
		if c[5]%2 == 0 {
			prefetch = []string{key(c[1]), key(c[5])}[:1+c[5]/2%2]
		}
		disturb := func(at int) {
			if attempts > 2 || c[2]%5 != at {
				return
			}
			switch c[3] % 4 {
			case 0, 1:
				resp, err := r.client.Put(r.ctx, key(c[4]), fmt.Sprint("other", attempts))
				r.answer("  put by another", resp, err)
			case 2:
				resp, err := r.client.Delete(r.ctx, key(c[4]))
				r.answer("  deleted by another", resp, err)
			case 3:
				resp, err := r.client.Txn(r.ctx).Then(clientv3.OpPut(key(c[4]), "x"), clientv3.OpDelete(key(c[4]+1))).Commit()
				r.answer("  transaction of another", resp, err)
			}
		}
		resp, err := concurrency.NewSTM(r.client, func(s concurrency.STM) error {
			attempts++
			disturb(0)
			for i, n := range c[1:] {
				switch k := key(n); (n / 4) % 7 {
				case 0, 1:
					r.note("   %q is %q", k, s.Get(k))
				case 2:
					s.Put(k, fmt.Sprint(s.Get(k), i))
				case 3:
					s.Put(k, fmt.Sprint(n))
				case 4:
					s.Del(k)
				case 5:
					r.note("   %q is at %d", k, s.Rev(k))
				case 6:
					r.note("   %q or %q is %q", k, key(n+1), s.Get(k, key(n+1)))
				}
				disturb(i + 1)
			}
			if c[6]%20 == 18 {
				return fmt.Errorf("no")
			}
			return nil
		}, concurrency.WithIsolation(level), concurrency.WithAbortContext(ctx), concurrency.WithPrefetch(prefetch...))
		if resp != nil {
			// The order of the operations is that of a map, so that the revision of a deletion without a key may differ.
			var ops []string
			for _, op := range resp.Responses {
				ops = append(ops, fmt.Sprintf("%T %d", op.Response, op.GetResponseDeleteRange().GetDeleted()))
			}
			slices.Sort(ops)
			r.note("   at %d, succeeded %t, %v", resp.Header.Revision, resp.Succeeded, ops)
		}
		r.note("   isolation %d, %d attempts, error %v", level, attempts, err)
	}
}
