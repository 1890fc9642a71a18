package etcd

import "context"

// RequestProgress implements [kv.ProgressRequester]. etcd answers for all watches of a gRPC stream together, and the Stores
// of one client share a stream. If one watch of these Stores is behind, or waits for a future revision, no watch of the stream
// yields a bookmark. A watch after the current revision also waits for a future revision, until the next write.
//
// The client's own RequestProgress does not reach the watches of a Store, because these have their own stream.
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
