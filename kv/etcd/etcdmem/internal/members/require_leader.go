package members

import (
	"context"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// A stream is a gRPC stream that requires its member to have a leader.
type stream struct{ cancel context.CancelCauseFunc }

// RequireLeader returns a context for a stream that requires a leader. The context ends with the cause ErrGRPCNoLeader when the member
// has had no leader for a while, and with ErrGRPCStopped when the member stops. If the member has no leader now, RequireLeader fails with
// ErrGRPCNoLeader. The caller calls release when the stream has ended.
func (m *Member) RequireLeader(ctx context.Context) (required context.Context, release func(), err error) {
	c := m.cluster
	c.mu.Lock()
	defer c.unlock()
	switch {
	case !m.running:
		return nil, nil, rpctypes.ErrGRPCStopped
	case m.lead == none:
		return nil, nil, rpctypes.ErrGRPCNoLeader
	}
	required, cancel := context.WithCancelCause(ctx)
	s := &stream{cancel}
	m.streams[s] = true
	return required, func() { m.release(s) }, nil
}

func (m *Member) release(s *stream) {
	m.cluster.mu.Lock()
	delete(m.streams, s)
	m.cluster.mu.Unlock()
	s.cancel(nil)
}

// endStreams ends the streams that require a leader.
func (m *Member) endStreams() {
	for s := range m.streams {
		s.cancel(rpctypes.ErrGRPCNoLeader)
	}
	clear(m.streams)
	m.noLeaderDue = m.look(1)
}
