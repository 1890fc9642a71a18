package server

import (
	"cmp"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

func (v view) holdAll(compares []*pb.Compare) bool {
	for _, c := range compares {
		if !v.holds(c) {
			return false
		}
	}
	return true
}

// holds reports whether c holds for every key in its range. If the range is empty, c must hold for a key that was never put. A comparison
// of values never holds for such a key.
func (v view) holds(c *pb.Compare) bool {
	empty, ok := true, true
	v.data.EachAt(keysOf(c.Key, c.RangeEnd), v.revision, func(rec *mvcc.Record) bool {
		empty = false
		ok = holdsFor(c, rec)
		return ok
	})
	if empty {
		return c.Target != pb.Compare_VALUE && holdsFor(c, new(mvcc.Record))
	}
	return ok
}

// holdsFor compares one record. If the operand of c does not belong to its target, the operand counts as zero. A target that etcd does not
// know compares as equal. A result that etcd does not know holds.
func holdsFor(c *pb.Compare, rec *mvcc.Record) bool {
	var order int
	switch c.Target {
	case pb.Compare_VALUE:
		order = cmp.Compare(rec.Value, string(c.GetValue()))
	case pb.Compare_CREATE:
		order = cmp.Compare(rec.Create, c.GetCreateRevision())
	case pb.Compare_MOD:
		order = cmp.Compare(rec.Modify, c.GetModRevision())
	case pb.Compare_VERSION:
		order = cmp.Compare(rec.Version, c.GetVersion())
	case pb.Compare_LEASE:
		order = cmp.Compare(rec.Lease, c.GetLease())
	}
	switch c.Result {
	case pb.Compare_EQUAL:
		return order == 0
	case pb.Compare_NOT_EQUAL:
		return order != 0
	case pb.Compare_GREATER:
		return order > 0
	case pb.Compare_LESS:
		return order < 0
	}
	return true
}
