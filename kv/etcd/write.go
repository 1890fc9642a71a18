package etcd

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
)

// Put implements [kv.Writer]. The Store sends a write once: an error that matches [kv.ErrUnavailable], or the
// context's own, leaves open whether it happened.
//
// etcd's client sends a write again that was answered as cancelled or out of time though its context goes on. A proxy may
// answer so, where the first may have happened; and a member without a leader does, after some seconds in which it
// could not begin. A client whose configuration has MaxUnaryRetries at 1 sends nothing again.
func (s *Store) Put(ctx context.Context, key string, value []byte, conditions ...kv.Condition) (kv.Revision, error) {
	op := func() string { return "put " + shorten(key) }
	return s.write(ctx, op, []kv.Op{kv.PutOp(key, value, conditions...)})
}

// Delete implements [kv.Writer]. What Put says of errors holds here.
func (s *Store) Delete(ctx context.Context, key string, conditions ...kv.Condition) (kv.Revision, error) {
	op := func() string { return "delete " + shorten(key) }
	return s.write(ctx, op, []kv.Op{kv.DeleteOp(key, conditions...)})
}

// Commit implements [kv.Committer]. What Put says of errors holds here. etcd takes 128 ops in one commit
// unless it is told otherwise; more are [kv.ErrTooLarge].
func (s *Store) Commit(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	op := func() string {
		if len(ops) == 0 {
			return "commit nothing"
		}
		if len(ops) == 1 {
			return "commit " + shorten(ops[0].Key)
		}
		return fmt.Sprintf("commit %s and %d more", shorten(ops[0].Key), len(ops)-1)
	}
	return s.write(ctx, op, ops)
}

func (s *Store) write(ctx context.Context, op func() string, ops []kv.Op) (kv.Revision, error) {
	if err := kv.ValidateOps(ops); err != nil {
		return 0, invalid(op, err)
	}
	if err := s.ready(ctx, op); err != nil {
		return 0, err
	}
	open, end := s.whileOpen(ctx)
	defer end()
	asked := s.identity.ask()
	header, done, err := s.send(open, ops)
	if err != nil {
		return 0, s.failed(ctx, op, err)
	}
	s.identity.answered(asked, header)
	if !done {
		return 0, &kv.OpError{Store: storeName, Op: op(), Reason: kv.ErrConflict}
	}
	return kv.Revision(header.GetRevision()), nil
}

// send makes one request of ops; done is false if a condition did not hold.
func (s *Store) send(ctx context.Context, ops []kv.Op) (header *pb.ResponseHeader, done bool, err error) {
	if len(ops) == 0 {
		// etcd answers an empty transaction from whatever state the member it reaches is in; a read tells
		// the revision of the store.
		resp, err := s.client.Get(ctx, "\x00", clientv3.WithCountOnly())
		if err != nil {
			return nil, false, err
		}
		return resp.Header, true, nil
	}
	var compares []clientv3.Cmp
	requests := make([]clientv3.Op, 0, len(ops))
	for _, o := range ops {
		for _, c := range o.Conditions {
			if rev, ok := c.ModRevision(); ok {
				compares = append(compares, clientv3.Compare(clientv3.ModRevision(o.Key), "=", int64(rev)))
			}
		}
		if o.Type == kv.EventDelete {
			requests = append(requests, clientv3.OpDelete(o.Key))
		} else {
			requests = append(requests, clientv3.OpPut(o.Key, string(o.Value)))
		}
	}
	resp, err := s.client.Txn(ctx).If(compares...).Then(requests...).Commit()
	if err != nil {
		return nil, false, err
	}
	return resp.Header, resp.Succeeded, nil
}
