package memory

import "github.com/watchkv/watchkv/kv"

// Option changes how [New] makes a store.
type Option func(*settings)

type settings struct {
	history    kv.Revision // how many revisions are kept; zero for all
	maxRequest int         // bytes
	maxOps     int
}

// etcd's own defaults.
func defaults() settings {
	return settings{maxRequest: 3 << 19, maxOps: 128}
}

// WithHistory makes the store keep the changes of its last n revisions and no more: each write compacts what is
// older. By default, and with n below one, everything is kept until [Store.Compact].
func WithHistory(n int) Option {
	return func(s *settings) { s.history = kv.Revision(max(n, 0)) }
}

// WithMaxRequestBytes sets the size above which a write is [kv.ErrTooLarge]. It counts keys, values and a few
// bytes for each operation and each condition, which names its key again, as etcd does. A range to read or to watch may have keys
// of half a megabyte more. The default is etcd's, 1.5 MiB; with n below one there is no limit.
func WithMaxRequestBytes(n int) Option {
	return func(s *settings) { s.maxRequest = n }
}

// WithMaxOps sets how many operations, and how many conditions, a commit may have before it is [kv.ErrTooLarge].
// The default is etcd's, 128; with n below one there is no limit.
func WithMaxOps(n int) Option {
	return func(s *settings) { s.maxOps = n }
}
