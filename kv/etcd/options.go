package etcd

// Option changes how a [Store] works. See [New].
type Option func(*Store)

const defaultBuffer = 4 << 20

// WithPageSize sets how many keys Get requests at a time. A range with more keys is read in several requests, all at the
// revision of the first. The default is 10,000 for the first request, and then as many keys as make about 16 MiB. A number below one
// means the default.
func WithPageSize(keys int) Option {
	return func(s *Store) { s.page = int64(max(keys, 0)) }
}

// WithBuffer sets how many bytes a watch holds for a slow consumer. The default is 4 MiB. Past
// that the watch ends its request at etcd. When the consumer has taken what was held, the watch requests the rest, from etcd's own
// history. At least one response of etcd is always held, whatever its size. etcd packs up to a
// thousand revisions into one response. A number below one means the default.
func WithBuffer(bytes int) Option {
	return func(s *Store) {
		if bytes > 0 {
			s.buffer = bytes
		}
	}
}
