package etcd

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
)

// Put implements [kv.Writer]. The Store sends a write once. After an error that matches [kv.ErrUnavailable], or the
// context's own error, the write may or may not have happened.
//
// etcd's client sends a write again if the answer says that the write is cancelled or its time is over, although its context has not
// ended. A proxy may give that answer although the first write has happened. A member without a leader gives it after some seconds in
// which the write could not begin. If MaxUnaryRetries in the client's configuration is 1, the client sends no write again.
func (s *Store) Put(ctx context.Context, key string, value []byte, conditions ...kv.Condition) (kv.Revision, error) {
	op := func() string { return "put " + shorten(key) }
	return s.write(ctx, op, []kv.Op{kv.PutOp(key, value, conditions...)})
}

// Delete implements [kv.Writer]. Its errors mean what Put says.
func (s *Store) Delete(ctx context.Context, key string, conditions ...kv.Condition) (kv.Revision, error) {
	op := func() string { return "delete " + shorten(key) }
	return s.write(ctx, op, []kv.Op{kv.DeleteOp(key, conditions...)})
}

// Commit implements [kv.Committer]. Its errors mean what Put says. By default etcd accepts 128 ops in one commit.
// If there are more, the error is [kv.ErrTooLarge].
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

// send makes one request of ops. done is false if a condition did not hold.
func (s *Store) send(ctx context.Context, ops []kv.Op) (header *pb.ResponseHeader, done bool, err error) {
	if len(ops) == 0 {
		// A member answers an empty transaction from its own state, which may lag behind. A read returns
		// the revision of the store.
		resp, err := get(ctx, s.client, "\x00", clientv3.WithCountOnly())
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
	if resp == nil && err == nil {
		err = errNoResponse
	}
	if err != nil {
		return nil, false, err
	}
	return resp.Header, resp.Succeeded, nil
}
