package etcd

import (
	"context"
	"errors"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
)

// Get implements [kv.Store]. The read is linearizable. If the revision of the first page is compacted while other pages are read, the
// range is read from its beginning again, ten times at most. After that the error matches [kv.ErrUnavailable].
func (s *Store) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	return s.snapshot(ctx, r, "get ")
}

// Stat implements [kv.Stater]. It is [Store.Get] without the values. etcd does not send them.
func (s *Store) Stat(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	return s.snapshot(ctx, r, "stat ", clientv3.WithKeysOnly())
}

func (s *Store) snapshot(ctx context.Context, r kv.Range, verb string, opts ...clientv3.OpOption) (kv.Snapshot, error) {
	op := func() string { return verb + shortenRange(r) }
	if err := r.Validate(); err != nil {
		return kv.Snapshot{}, invalid(op, err)
	}
	if err := s.ready(ctx, op); err != nil {
		return kv.Snapshot{}, err
	}
	open, end := s.whileOpen(ctx)
	defer end()
	answered := s.doubt()
	snapshot, err := s.read(open, r, opts)
	answered(err)
	if err != nil {
		return kv.Snapshot{}, s.failed(ctx, op, err)
	}
	return snapshot, nil
}

// maxRestarts bounds how often one Get begins again because its revision is gone. Otherwise a range
// that takes longer to read than etcd keeps history would be read for ever.
const maxRestarts = 10

// errRestart means that the pages read so far cannot be completed.
var errRestart = errors.New("the range was read too slowly: its revision was gone before its end")

func (s *Store) read(ctx context.Context, r kv.Range, opts []clientv3.OpOption) (kv.Snapshot, error) {
	var err error
	p := paging{limit: s.page, grows: s.page == 0, opts: opts}
	if p.grows {
		p.limit = firstPage
	}
	for range maxRestarts {
		var snapshot kv.Snapshot
		snapshot, err = s.readOnce(ctx, r, &p)
		if !errors.Is(err, errRestart) {
			return snapshot, err
		}
	}
	return kv.Snapshot{}, err
}

// readOnce reads r from its beginning to its end, in pages, at the revision of the first.
func (s *Store) readOnce(ctx context.Context, r kv.Range, p *paging) (kv.Snapshot, error) {
	var snapshot kv.Snapshot
	var of *history // to which all pages have to belong
	from, rangeEnd := bounds(r)
	for {
		asked := s.identity.ask()
		resp, err := s.readPage(ctx, from, rangeEnd, snapshot.Revision, p)
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
			// Count is the number of keys in all pages. A single key may be outside r, so no space is made for it.
			if n := max(int(resp.Count), len(resp.Kvs)); n > 0 && rangeEnd != "" {
				snapshot.Entries = make([]kv.Entry, 0, n)
			}
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
		p.took(resp)
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

// paging is how many keys one Get requests at a time. For each page etcd counts the rest of the range, so a few large pages
// cost less than many small ones.
type paging struct {
	limit int64 // the limit of the next page
	grows bool  // the limit follows the size of the pages that were read
	opts  []clientv3.OpOption
}

const (
	firstPage = 10_000
	// pageBytes is the size of a page, once the size of keys and values is known.
	pageBytes = 16 << 20
)

// took sets the limit by the size of a page that was read.
func (p *paging) took(resp *clientv3.GetResponse) {
	if !p.grows {
		return
	}
	const perKey = 32 // about what a pair takes besides its key and value
	size := 0
	for _, pair := range resp.Kvs {
		size += perKey + len(pair.Key) + len(pair.Value)
	}
	p.limit = max(1, int64(pageBytes/(size/len(resp.Kvs))))
}

// wereTooMany lowers the limit for good.
func (p *paging) wereTooMany() { p.limit, p.grows = p.limit/2, false }

// readPage requests a page at rev, or at the newest revision if rev is zero. If so many keys do not fit into a
// message, it requests fewer.
func (s *Store) readPage(ctx context.Context, from, rangeEnd string, rev kv.Revision, p *paging) (*clientv3.GetResponse, error) {
	if rangeEnd == "" {
		return s.ask(ctx, from, p.opts...)
	}
	for {
		resp, err := s.ask(ctx, from, append(slices.Clone(p.opts), clientv3.WithRange(rangeEnd),
			clientv3.WithRev(int64(rev)), clientv3.WithLimit(p.limit))...)
		if p.limit == 1 || !isOversize(err) {
			return resp, err
		}
		p.wereTooMany()
	}
}

// bounds returns r as etcd's key and range end. An empty end means the one key. The end "\x00" means every key from
// the first on.
func bounds(r kv.Range) (key, rangeEnd string) {
	if key, ok := r.Key(); ok {
		return key, ""
	}
	from, to, bounded := r.Bounds()
	if from == "" {
		from = "\x00" // the lowest possible key; in a namespace etcd's client accepts no empty key
	}
	switch {
	case !bounded:
		return from, "\x00"
	case to <= from:
		// This is the interval before "\x00", which can have no key. To etcd that end would mean every key.
		// So one key is requested, and then dropped because it is outside r.
		return from, ""
	}
	return from, to
}

// entry returns pair as an entry of package kv. The entry takes over the bytes of the value, which etcd's client made
// for this response only.
func entry(pair *mvccpb.KeyValue) kv.Entry {
	return kv.Entry{
		Key:            string(pair.Key),
		Value:          pair.Value,
		CreateRevision: kv.Revision(pair.CreateRevision),
		ModRevision:    kv.Revision(pair.ModRevision),
		Version:        pair.Version,
	}
}
