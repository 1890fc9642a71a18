package etcd

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
)

// Get implements [kv.Store]. The read is linearizable.
func (s *Store) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	op := func() string { return "get " + shortenRange(r) }
	if err := r.Validate(); err != nil {
		return kv.Snapshot{}, invalid(op, err)
	}
	if err := s.ready(ctx, op); err != nil {
		return kv.Snapshot{}, err
	}
	open, end := s.whileOpen(ctx)
	defer end()
	snapshot, err := s.read(open, r)
	if err != nil {
		return kv.Snapshot{}, s.failed(ctx, op, err)
	}
	return snapshot, nil
}

// maxRestarts bounds how often one Get begins anew because the revision it was reading at is gone: a range
// that takes longer to read than etcd keeps history would otherwise be read for ever.
const maxRestarts = 10

// errRestart says that the pages read so far cannot be completed.
var errRestart = errors.New("the range was read too slowly: its revision was gone before its end")

func (s *Store) read(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	var err error
	limit := s.page
	for range maxRestarts {
		var snapshot kv.Snapshot
		snapshot, err = s.readOnce(ctx, r, &limit)
		if !errors.Is(err, errRestart) {
			return snapshot, err
		}
	}
	return kv.Snapshot{}, err
}

// readOnce reads r from its beginning to its end, in pages, at the revision of the first.
func (s *Store) readOnce(ctx context.Context, r kv.Range, limit *int64) (kv.Snapshot, error) {
	var snapshot kv.Snapshot
	var of *history // which all pages have to be of
	from, rangeEnd := bounds(r)
	for {
		asked := s.identity.ask()
		resp, err := s.readPage(ctx, from, rangeEnd, snapshot.Revision, limit)
		if err != nil {
			if of != nil && (describes(err, rpctypes.ErrGRPCCompacted) || describes(err, rpctypes.ErrGRPCFutureRev)) {
				err = errRestart
			}
			return kv.Snapshot{}, err
		}
		answered := s.identity.answered(asked, resp.Header)
		switch {
		case answered == nil:
			return kv.Snapshot{}, errRestart
		case of == nil:
			of = answered
			snapshot.Revision = kv.Revision(resp.Header.GetRevision())
			snapshot.Entries = make([]kv.Entry, 0, len(resp.Kvs))
		case of != answered:
			return kv.Snapshot{}, errRestart
		}
		for _, pair := range resp.Kvs {
			if e := entry(pair); r.Contains(e.Key) {
				snapshot.Entries = append(snapshot.Entries, e)
			}
		}
		if !resp.More || len(resp.Kvs) == 0 {
			return snapshot, nil
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

// readPage makes one request for up to *limit keys at rev, or at the newest revision if that is zero. Where
// so many do not fit into a message it asks for fewer, and lowers *limit for those to come.
func (s *Store) readPage(ctx context.Context, from, rangeEnd string, rev kv.Revision, limit *int64) (*clientv3.GetResponse, error) {
	if rangeEnd == "" {
		return s.client.Get(ctx, from)
	}
	for {
		resp, err := s.client.Get(ctx, from, clientv3.WithRange(rangeEnd),
			clientv3.WithRev(int64(rev)), clientv3.WithLimit(*limit))
		if *limit == 1 || !isOversize(err) {
			return resp, err
		}
		*limit /= 2
	}
}

// bounds returns r as etcd's key and range end: an empty end is the one key, and "\x00" is every key from
// the first on.
func bounds(r kv.Range) (key, rangeEnd string) {
	if key, ok := r.Key(); ok {
		return key, ""
	}
	from, to, bounded := r.Bounds()
	if from == "" {
		from = "\x00" // the first key there can be; in a namespace etcd's client takes no empty one
	}
	switch {
	case !bounded:
		return from, "\x00"
	case to <= from:
		// Only the interval before "\x00", in which no key can be. To etcd that end would mean every key,
		// so ask for one key, which is then found to be outside.
		return from, ""
	}
	return from, to
}

// entry returns pair in the words of package kv. It takes over the bytes of the value: etcd's client made
// them for this response alone.
func entry(pair *mvccpb.KeyValue) kv.Entry {
	return kv.Entry{
		Key:            string(pair.GetKey()),
		Value:          pair.GetValue(),
		CreateRevision: kv.Revision(pair.GetCreateRevision()),
		ModRevision:    kv.Revision(pair.GetModRevision()),
		Version:        pair.GetVersion(),
	}
}
