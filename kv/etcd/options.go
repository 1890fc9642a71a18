package etcd

// Option changes how a [Store] works. See [New].
type Option func(*Store)

const defaultBuffer = 4 << 20

// WithPageSize sets how many keys Get asks etcd for at a time. A range with more keys is read in several requests, all at the
// revision of the first. Unless set that is 10,000 at first, and then as many as make about 16 MiB. Below one means the default.
func WithPageSize(keys int) Option {
	return func(s *Store) { s.page = int64(max(keys, 0)) }
}

// WithBuffer sets how many bytes a watch holds for a consumer that does not keep up: 4 MiB unless set. Past
// that the watch lets go of etcd, and comes back for the rest, from etcd's own history, once its consumer
// has taken what was held. At least one response of etcd is always held, however large; etcd packs up to a
// thousand revisions into one. Below one means the default.
func WithBuffer(bytes int) Option {
	return func(s *Store) {
		if bytes > 0 {
			s.buffer = bytes
		}
	}
}
