package property_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/client/v3/leasing"
)

// leasings is a program with three clients that share leased keys. A client that had to give up a key does not acquire it again for two seconds.
// So the steps take no time in memory, and a program that takes nearly as long on etcd is not compared.
func leasings(r *packageRun) func(call) {
	var all []clientv3.KV
	known := make(map[clientv3.LeaseID]bool)
	for range 3 {
		kv, end, err := leasing.NewKV(r.client, "l/", concurrency.WithTTL(100_000))
		if err != nil {
			r.Fatal(err)
		}
		r.atEnd(end)
		all = append(all, kv)
		r.learn(known)
	}
	return func(c call) {
		kv, name := all[c[0]%3], fmt.Sprint("client ", c[0]%3)
		ctx, cancel := context.WithTimeout(r.ctx, 30*time.Second)
		r.atEnd(cancel)
		key := of(c[2], "a", "b", "ab", "c", "a")
		end := of(c[3], "b", "c", "\x00", "ac", "")
		value := fmt.Sprint("v", c[4]%5)
		switch n := c[1]; {
		case n < 30:
			resp, err := kv.Get(ctx, key)
			r.answer(name+" get "+key, resp, err)
		case n < 37:
			opts := of(c[4], []clientv3.OpOption{clientv3.WithRange(end)}, []clientv3.OpOption{clientv3.WithSerializable()}, []clientv3.OpOption{clientv3.WithCountOnly()},
				[]clientv3.OpOption{clientv3.WithKeysOnly()}, []clientv3.OpOption{clientv3.WithPrefix()}, []clientv3.OpOption{clientv3.WithRev(r.start + int64(c[5]%9))},
				[]clientv3.OpOption{clientv3.WithMinModRev(r.start + int64(c[5]%9))})
			resp, err := kv.Get(ctx, key, opts...)
			r.answer(fmt.Sprint(name, " get ", key, " ", c[4]%7, end), resp, err)
		case n < 55:
			var opts []clientv3.OpOption
			if c[5]%4 == 0 {
				opts = append(opts, clientv3.WithPrevKV())
			}
			resp, err := kv.Put(ctx, key, value, opts...)
			r.answer(name+" put "+key, resp, err)
		case n < 62:
			resp, err := kv.Delete(ctx, key)
			r.answer(name+" delete "+key, resp, err)
		case n < 69:
			opts := []clientv3.OpOption{clientv3.WithRange(end)}
			if c[4]%3 == 0 {
				opts = []clientv3.OpOption{clientv3.WithPrefix()}
			}
			resp, err := kv.Delete(ctx, key, opts...)
			r.answer(fmt.Sprint(name, " delete from ", key, " ", c[4]%3, end), resp, err)
		case n < 85:
			ops := func(n int) []clientv3.Op {
				k := of(n/3, "a", "b", "ab", "c")
				return of(n, []clientv3.Op{clientv3.OpGet(k)}, []clientv3.Op{clientv3.OpPut(k, value)}, []clientv3.Op{clientv3.OpDelete(k)},
					[]clientv3.Op{clientv3.OpPut(k, value), clientv3.OpGet("b"), clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpGet("a"), clientv3.OpPut(k+"x", "in")}, nil)},
					[]clientv3.Op{clientv3.OpDelete(k, clientv3.WithRange("ac")), clientv3.OpGet("a")}, nil)
			}
			cmp := of(c[5], clientv3.Compare(clientv3.Version(key), ">", 0), clientv3.Compare(clientv3.Value(key), "=", value), clientv3.Compare(clientv3.ModRevision(key), "<", r.start+5), clientv3.Compare(clientv3.CreateRevision(key), "!=", 0))
			resp, err := kv.Txn(ctx).If(cmp).Then(ops(c[3])...).Else(ops(c[6])...).Commit()
			r.answer(fmt.Sprintf("%s if %d of %s then %d else %d", name, c[5]%4, key, c[3]%6, c[6]%6), resp, err)
		default:
			resp, err := r.client.Get(ctx, "", clientv3.WithPrefix())
			r.answer("all", resp, err)
		}
	}
}

// learn names the lease that has been granted last.
func (r *packageRun) learn(known map[clientv3.LeaseID]bool) {
	resp, err := r.client.Leases(r.ctx)
	if err != nil {
		r.Fatal(err)
	}
	slices.SortFunc(resp.Leases, func(a, b clientv3.LeaseStatus) int { return int(a.ID>>32 - b.ID>>32) })
	for _, l := range resp.Leases {
		if !known[l.ID] {
			known[l.ID] = true
			r.lease(l.ID)
		}
	}
}
