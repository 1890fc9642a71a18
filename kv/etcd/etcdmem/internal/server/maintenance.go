package server

import (
	"context"
	"encoding/binary"
	"hash/crc32"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/api/v3/version"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// quota is the default limit of the size of etcd's database, in bytes. Nothing is counted here.
const quota = 2 << 30

type maintenanceService struct {
	pb.UnimplementedMaintenanceServer
	*Server
}

func (s *maintenanceService) Status(ctx context.Context, _ *pb.StatusRequest) (*pb.StatusResponse, error) {
	if err := s.check(ctx, (*auth).known); err != nil {
		return nil, err
	}
	header := s.header()
	status := s.member.Status()
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	size := int64(s.state.data.Size())
	resp := &pb.StatusResponse{
		Header:           header,
		Version:          version.Version,
		StorageVersion:   version.APIVersion + ".0",
		DbSize:           size,
		DbSizeInUse:      size,
		DbSizeQuota:      quota,
		DowngradeInfo:    new(pb.DowngradeInfo),
		Leader:           status.Leader,
		RaftIndex:        status.Committed,
		RaftAppliedIndex: status.Applied,
		RaftTerm:         status.Term,
	}
	if status.Leader == 0 {
		resp.Errors = append(resp.Errors, rpctypes.ErrNoLeader.Error())
	}
	for _, one := range s.state.alarms {
		resp.Errors = append(resp.Errors, one.message().String())
	}
	return resp, nil
}

// Defragment does nothing: memory has no fragments to put together.
func (s *maintenanceService) Defragment(ctx context.Context, _ *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	if err := s.check(ctx, (*auth).admin); err != nil {
		return nil, err
	}
	return new(pb.DefragmentResponse), nil
}

func (s *maintenanceService) MoveLeader(ctx context.Context, r *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	if err := s.check(ctx, (*auth).admin); err != nil {
		return nil, err
	}
	if s.member.Status().Leader != s.id {
		return nil, rpctypes.ErrGRPCNotLeader
	}
	if err := s.member.MoveLeader(ctx, r.TargetID); err != nil {
		return nil, err
	}
	return new(pb.MoveLeaderResponse), nil
}

func (s *maintenanceService) Hash(ctx context.Context, _ *pb.HashRequest) (*pb.HashResponse, error) {
	if err := s.check(ctx, (*auth).admin); err != nil {
		return nil, err
	}
	resp := &pb.HashResponse{Header: new(pb.ResponseHeader)}
	s.read(func(v view) { resp.Header.Revision, resp.Hash = v.revision, v.hash(v.revision) })
	s.fill(resp.Header)
	return resp, nil
}

func (s *maintenanceService) HashKV(ctx context.Context, r *pb.HashKVRequest) (*pb.HashKVResponse, error) {
	if err := s.check(ctx, (*auth).admin); err != nil {
		return nil, err
	}
	resp := &pb.HashKVResponse{Header: new(pb.ResponseHeader)}
	var err error
	s.read(func(v view) {
		var h kvHash
		h, err = s.hashAt(v, r.Revision)
		resp.Header.Revision, resp.Hash, resp.HashRevision, resp.CompactRevision = v.revision, h.hash, h.revision, h.compacted
	})
	if err != nil {
		return nil, err
	}
	s.fill(resp.Header)
	return resp, nil
}

// kvHash is a checksum of the keys at a revision, with the compacted revision at that time.
type kvHash struct {
	hash                uint32
	revision, compacted int64
}

// hashesKept is how many checksums of compactions are remembered.
const hashesKept = 10

// rememberHash remembers the checksum at a revision that is compacted. It was made before that.
func (s *Server) rememberHash(h kvHash) {
	s.hashes = append(s.hashes, h)
	if len(s.hashes) > hashesKept {
		s.hashes = s.hashes[1:]
	}
}

// hashAt returns the checksum at a revision, or at the newest one if revision is zero. The checksums of the last compactions are remembered.
// The caller holds the state's mutex.
func (s *Server) hashAt(v view, revision int64) (kvHash, error) {
	for _, h := range s.hashes {
		if h.revision == revision {
			return h, nil
		}
	}
	if err := v.check(revision); err != nil {
		return kvHash{}, err
	}
	if revision == 0 {
		revision = v.revision
	}
	return kvHash{v.hash(revision), revision, v.compacted}, nil
}

// hash returns a checksum of the keys at a revision. Members with the same keys have the same checksum. etcd computes another number, which
// depends on its files. As in etcd, the checksum of no keys is not zero.
func (v view) hash(revision int64) uint32 {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	sum.Write([]byte("key"))
	var buf []byte
	v.data.EachAt(mvcc.Prefix(""), revision, func(rec *mvcc.Record) bool {
		buf = buf[:0]
		for _, n := range [...]int64{int64(len(rec.Key)), int64(len(rec.Value)), rec.Create, rec.Modify, rec.Version, rec.Lease} {
			buf = binary.BigEndian.AppendUint64(buf, uint64(n))
		}
		sum.Write(append(append(buf, rec.Key...), rec.Value...))
		return true
	})
	return sum.Sum32()
}
