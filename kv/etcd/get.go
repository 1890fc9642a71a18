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

// Get implements [kv.Store]. The read is linearizable. A range that is compacted while its pages are read is read from its
// beginning again, ten times at most; then the error matches [kv.ErrUnavailable].
func (s *Store) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	return s.snapshot(ctx, r, "get ")
}

// Stat implements [kv.Stater]. It is [Store.Get] without the values, which etcd does not send then.
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
	s.pulses()
	snapshot, err := s.read(open, r, opts)
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
	var of *history // which all pages have to be of
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
			// Count is that of all pages. Where one key was asked for it may not be in r, so nothing is made for it yet.
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

// paging is how many keys one Get asks etcd for at a time. Each page makes etcd count the rest of the range, so few large ones
// cost less than many small ones.
type paging struct {
	limit int64 // of the next page
	grows bool  // it follows the size of what was read
	opts  []clientv3.OpOption
}

const (
	firstPage = 10_000
	// pageBytes is how large pages are made, once it is known how large keys and values are.
	pageBytes = 16 << 20
)

// took sets the limit by the size of a page.
func (p *paging) took(resp *clientv3.GetResponse) {
	if !p.grows {
		return
	}
	const perKey = 32 // beside key and value, about
	size := 0
	for _, pair := range resp.Kvs {
		size += perKey + len(pair.Key) + len(pair.Value)
	}
	p.limit = max(1, int64(pageBytes/(size/len(resp.Kvs))))
}

// wereTooMany lowers the limit for good.
func (p *paging) wereTooMany() { p.limit, p.grows = p.limit/2, false }

// readPage makes one request for a page at rev, or at the newest revision if that is zero. Where so many keys do not fit into a
// message it asks for fewer.
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
		Key:            string(pair.Key),
		Value:          pair.Value,
		CreateRevision: kv.Revision(pair.CreateRevision),
		ModRevision:    kv.Revision(pair.ModRevision),
		Version:        pair.Version,
	}
}
