package etcd

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
)

// Client is what a [Store] needs of an etcd client. A [*clientv3.Client] is one, also if its KV and its
// Watcher were replaced by those of a namespace. A struct that embeds the two interfaces is one too.
//
// A Store calls Get, Txn, Watch and RequestProgress, and no other method. So a wrapper of the client has to wrap these four. Some
// calls are made by goroutines of the Store, where a panic of the wrapper ends the program.
type Client interface {
	clientv3.KV
	clientv3.Watcher
}

// Store is a [kv.Store], [kv.Writer] and [kv.Committer] over etcd. Make one with [New]. Its methods may be
// called concurrently. A Store needs no closing: it holds only the client, and the client's owner closes that.
type Store struct {
	client  Client
	missing error           // why the client cannot be used; nil if it can
	closed  <-chan struct{} // closed with the client; nil if the client does not report it
	page    int64           // zero for the default
	buffer  int
	*shared // with the other Stores of the client
	// fragment is set once a message was too large for the client: see watch.receive.
	fragment atomic.Bool
}

var (
	_ kv.Store     = (*Store)(nil)
	_ kv.Writer    = (*Store)(nil)
	_ kv.Committer = (*Store)(nil)

	_ kv.Stater            = (*Store)(nil)
	_ kv.Summarizer        = (*Store)(nil)
	_ kv.Acknowledger      = (*Store)(nil)
	_ kv.ProgressRequester = (*Store)(nil)
	_ kv.SelfReader        = (*Store)(nil)
)

// New returns a Store over client. It does not connect, and never closes client. If client is nil, every
// call of the Store fails with an error that says so.
func New(client Client, opts ...Option) *Store {
	s := &Store{
		client:  client,
		missing: missing(client),
		buffer:  defaultBuffer,
		shared:  newShared(context.Background(), nil),
	}
	for _, opt := range opts {
		if opt != nil {
			opt(s)
		}
	}
	if s.missing != nil {
		return s
	}
	s.shared = sharedOf(client)
	if c, ok := client.(interface{ Ctx() context.Context }); ok && c.Ctx() != nil {
		s.closed = c.Ctx().Done()
	}
	return s
}

var (
	errNoClient     = errors.New("New was given a nil client")
	errNoInterfaces = errors.New("New was given a client without a KV or a Watcher")
)

// missing returns why client cannot be used, as far as this shows without a request.
func missing(client Client) error {
	if client == nil {
		return errNoClient
	}
	if c, ok := client.(*clientv3.Client); ok && c != nil && (c.KV == nil || c.Watcher == nil) {
		return errNoInterfaces
	}
	switch v := reflect.ValueOf(client); {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return errNoClient
	case v.Kind() == reflect.Struct && v.Type().Name() == "":
		// A type without a name has only the methods of what it embeds.
		for _, field := range v.Fields() {
			if field.Kind() == reflect.Interface && field.IsNil() {
				return errNoInterfaces
			}
		}
	}
	return nil
}

// whileOpen returns a context that ends with ctx and when the client is closed. clientv3 itself would continue
// to try for seconds. The caller calls end.
func (s *Store) whileOpen(ctx context.Context) (open context.Context, end func()) {
	if s.closed == nil {
		return ctx, func() {}
	}
	open, cancel := context.WithCancel(ctx)
	c, ok := s.client.(interface{ Ctx() context.Context })
	if !ok {
		return open, cancel
	}
	stop := context.AfterFunc(c.Ctx(), cancel)
	return open, func() { stop(); cancel() }
}

// isClosed reports whether the client is known to be closed.
func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// Itself returns s. Package kv uses it to tell s from a type that embeds it: see [kv.As].
func (s *Store) Itself() kv.Store { return s }
