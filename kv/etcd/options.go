package etcd

// Option changes how a [Store] works. See [New].
type Option func(*Store)

const (
	// A page is read in one request. Each page makes etcd count the rest of the range, so few large ones
	// cost less than many small ones.
	defaultPageSize = 10_000
	defaultBuffer   = 4 << 20
)

// WithPageSize sets how many keys Get asks etcd for at a time: 10,000 unless set. A range with more keys is
// read in several requests, all at the revision of the first. Below one means the default.
func WithPageSize(keys int) Option {
	return func(s *Store) {
		if keys > 0 {
			s.page = int64(keys)
		}
	}
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
