package memory

import "github.com/watchkv/watchkv/kv/internal/mvcc"

// Option changes how [New] makes a store.
type Option func(*settings)

type settings struct {
	history    int64 // how many revisions are kept, or zero for all
	maxRequest int   // bytes
	maxOps     int
}

// defaults are etcd's own.
func defaults() settings {
	return settings{maxRequest: mvcc.MaxRequestBytes, maxOps: mvcc.MaxTxnOps}
}

// WithHistory makes the store keep only the changes of its last n revisions: each write compacts older ones. By default, and
// if n is below one, the store keeps everything until [Store.Compact].
func WithHistory(n int) Option {
	return func(s *settings) { s.history = int64(max(n, 0)) }
}

// WithMaxRequestBytes sets the size above which a write is [kv.ErrTooLarge]. As in etcd, the size is that of keys and
// values, plus a few bytes for each operation and each condition; a condition names its key again. A range to read or to
// watch may have keys that are half a megabyte larger. The default is etcd's, 1.5 MiB. If n is below one, there is no limit.
func WithMaxRequestBytes(n int) Option {
	return func(s *settings) { s.maxRequest = n }
}

// WithMaxOps sets how many operations, and how many conditions, a commit may have. More are [kv.ErrTooLarge]. The default is
// etcd's, 128. If n is below one, there is no limit.
func WithMaxOps(n int) Option {
	return func(s *settings) { s.maxOps = n }
}
