package etcd_test

import (
	"context"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// fake is an etcd client whose answers a test sets. A call that the test has not set panics.
type fake struct {
	clientv3.KV
	clientv3.Watcher
	get      func(ctx context.Context, op clientv3.Op) (*clientv3.GetResponse, error)
	txn      func(ctx context.Context, ops []clientv3.Op) (*clientv3.TxnResponse, error)
	watch    func(ctx context.Context, op clientv3.Op) clientv3.WatchChan
	progress func(ctx context.Context) // may be nil
}

func (f *fake) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return f.get(ctx, clientv3.OpGet(key, opts...))
}

func (f *fake) Txn(ctx context.Context) clientv3.Txn { return &fakeTxn{fake: f, ctx: ctx} }

func (f *fake) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	return f.watch(ctx, clientv3.OpGet(key, opts...))
}

func (f *fake) RequestProgress(ctx context.Context) error {
	if f.progress != nil {
		f.progress(ctx)
	}
	return nil
}

func (f *fake) Close() error { panic("the Store closed the caller's client") }

type fakeTxn struct {
	fake *fake
	ctx  context.Context
	ops  []clientv3.Op
}

func (t *fakeTxn) If(...clientv3.Cmp) clientv3.Txn      { return t }
func (t *fakeTxn) Else(...clientv3.Op) clientv3.Txn     { return t }
func (t *fakeTxn) Then(ops ...clientv3.Op) clientv3.Txn { t.ops = ops; return t }
func (t *fakeTxn) Commit() (*clientv3.TxnResponse, error) {
	return t.fake.txn(t.ctx, t.ops)
}

// openFake is a fake with the method Ctx of a whole client, by which a Store learns that the client was closed.
type openFake struct {
	*fake
	ctx context.Context
}

func (f *openFake) Ctx() context.Context { return f.ctx }

// script is a watch that delivers the given responses and then waits until its context ends. If several watches are open, any of them may
// deliver a response, except those whose context has ended.
type script struct {
	over chan struct{}
	end  func()

	mu     sync.Mutex
	unsaid []clientv3.WatchResponse
	fed    chan struct{}     // closed and replaced when responses are added
	opens  []clientv3.Op     // every watch that was opened
	ctxs   []context.Context // the contexts of the watches
}

func newScript(responses ...clientv3.WatchResponse) *script {
	s := &script{fed: make(chan struct{}), over: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.over) })
	s.say(responses...)
	return s
}

func (s *script) say(responses ...clientv3.WatchResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaid = append(s.unsaid, responses...)
	close(s.fed)
	s.fed = make(chan struct{})
}

// next waits for the next response and removes it. ok is false when the script or ctx has ended.
func (s *script) next(ctx context.Context) (r clientv3.WatchResponse, ok bool) {
	for over := false; ; {
		s.mu.Lock()
		fed := s.fed
		if ctx.Err() == nil && len(s.unsaid) > 0 {
			r, s.unsaid = s.unsaid[0], s.unsaid[1:]
			ok = true
		}
		s.mu.Unlock()
		if ok || over || ctx.Err() != nil {
			return r, ok
		}
		select {
		case <-fed:
		case <-s.over:
			over = true // but first deliver the responses that are left
		case <-ctx.Done():
		}
	}
}

// watch sends the responses, and closes the channel when ctx is done or the script has ended.
func (s *script) watch(ctx context.Context, op clientv3.Op) clientv3.WatchChan {
	s.mu.Lock()
	s.opens = append(s.opens, op)
	s.ctxs = append(s.ctxs, ctx)
	s.mu.Unlock()
	out := make(chan clientv3.WatchResponse)
	go func() {
		defer close(out)
		for {
			r, ok := s.next(ctx)
			if !ok {
				return
			}
			select {
			case out <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// answeredAt returns the get of a fake. It answers with a header at the revision that revision returns.
func answeredAt(revision func() int64) func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) {
	return func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) {
		return &clientv3.GetResponse{Header: header(revision())}, nil
	}
}

// header returns a header of member 1 of cluster 1 at term 2.
func header(revision int64) *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: 1, MemberId: 1, RaftTerm: 2, Revision: revision}
}

// changed returns a response with one put of key at each revision. The revision of its header is ahead of the events.
func changed(key string, revisions ...int64) clientv3.WatchResponse {
	r := headed(header(1000), clientv3.WatchResponse{})
	for _, rev := range revisions {
		r.Events = append(r.Events, &clientv3.Event{
			Type: clientv3.EventTypePut,
			Kv:   &mvccpb.KeyValue{Key: []byte(key), ModRevision: rev, CreateRevision: rev, Version: 1},
		})
	}
	return r
}

func progress(revision int64) clientv3.WatchResponse {
	return headed(header(revision), clientv3.WatchResponse{})
}
