package etcdmem

import (
	"context"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/server"
)

// single is the member of a cluster of one: what it proposes is committed at once.
type single struct {
	info     server.MemberInfo
	onChange func()

	mu    sync.Mutex
	index uint64
}

func (m *single) ID() uint64 { return m.info.ID }

func (m *single) Status() server.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return server.Status{ClusterID: 1, Term: 2, Leader: m.info.ID, Committed: m.index, Applied: m.index, Members: []server.MemberInfo{m.info}}
}

func (m *single) Propose(ctx context.Context, apply func(uint64)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	m.index++
	apply(m.index)
	m.mu.Unlock()
	m.onChange()
	return nil
}

func (m *single) ReadIndex(ctx context.Context) error { return ctx.Err() }
func (m *single) ConfirmLeader(context.Context) bool  { return true }
func (m *single) Reaches(uint64) bool                 { return false }
func (m *single) MoveLeader(context.Context, uint64) error {
	return rpctypes.ErrGRPCBadLeaderTransferee
}
func (m *single) RequireLeader(ctx context.Context) (context.Context, func(), error) {
	return ctx, func() {}, nil
}

func (m *single) OnChange(f func()) {
	m.onChange = f
	f()
}
