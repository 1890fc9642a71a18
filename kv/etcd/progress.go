package etcd

import "context"

// RequestProgress implements [kv.ProgressRequester]. etcd answers for all watches of a gRPC stream together, and the Stores
// of one client share a stream: while one watch of these Stores is behind, or waits for a future revision, which is also
// that of a watch after the current one until the next write, no watch of the stream yields a bookmark.
//
// The client's own RequestProgress does not reach the watches of a Store, which have a stream that no other watch uses.
func (s *Store) RequestProgress(ctx context.Context) error {
	op := func() string { return "request progress" }
	if err := s.ready(ctx, op); err != nil {
		return err
	}
	for _, l := range s.lanes.inUse() {
		if err := s.client.RequestProgress(l.context(ctx)); err != nil {
			return s.failed(ctx, op, err)
		}
	}
	return nil
}
