package rpc

import (
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"pgregory.net/rapid"
)

// Start describes a store on which a program begins. It has no keys, leases and watches, and its whole history is compacted.
type Start struct {
	Revision int64
	Lease    int64 // leases from this one to the ninth after it are not known to the store
}

const (
	sharedStreams = 3  // streams that may have any number of watches
	maxStreams    = 64 // includes the streams with one watch of the past each
)

// Draw draws a program.
func (s Start) Draw(t *rapid.T) Program {
	var p Program
	past := sharedStreams // the next stream for a watch of the past
	for range rapid.IntRange(1, 30).Draw(t, "steps") {
		step := s.step(t)
		if c := step.Message.GetCreateRequest(); c != nil && c.StartRevision > 0 && c.StartRevision <= s.Revision+int64(len(p)) {
			if past == maxStreams {
				continue
			}
			step.Stream = past
			past++
		}
		p = append(p, step)
	}
	return p
}

func (s Start) step(t *rapid.T) Step {
	switch n := rapid.IntRange(0, 99).Draw(t, "step"); {
	case n < 25:
		return Step{Request: s.put(t)}
	case n < 35:
		return Step{Request: s.deleteRange(t)}
	case n < 50:
		return Step{Request: s.read(t)}
	case n < 65:
		return Step{Request: s.txn(t, 2)}
	case n < 70:
		return Step{Request: &pb.CompactionRequest{Revision: s.revision(t, 0), Physical: chance(t, 2)}}
	case n < 82:
		return Step{Stream: rapid.IntRange(0, sharedStreams-1).Draw(t, "stream"), Message: s.watch(t)}
	case n < 88:
		return Step{Request: &pb.LeaseGrantRequest{ID: s.lease(t), TTL: rapid.SampledFrom([]int64{100_000, 200_000, 9_000_000_000, 9_000_000_001, math.MaxInt64}).Draw(t, "ttl")}}
	case n < 91:
		return Step{Request: &pb.LeaseRevokeRequest{ID: s.lease(t)}}
	case n < 95:
		return Step{Request: &pb.LeaseTimeToLiveRequest{ID: s.lease(t), Keys: chance(t, 2)}}
	case n < 97:
		return Step{Request: &pb.LeaseKeepAliveRequest{ID: s.lease(t)}}
	case n < 98:
		return Step{Request: new(pb.LeaseLeasesRequest)}
	}
	at := s.revision(t, 2)
	if at > 0 && at <= s.Revision {
		at = 0 // etcd remembers the checksums of the compactions of earlier programs
	}
	return Step{Request: &pb.HashKVRequest{Revision: at}}
}

// chance is true one time in n.
func chance(t *rapid.T, n int) bool { return rapid.IntRange(0, n-1).Draw(t, "chance") == n-1 }

// revision returns zero n-1 times in n, if n is not zero. Otherwise it returns a revision near the beginning of the program, or far away.
func (s Start) revision(t *rapid.T, n int) int64 {
	if n > 0 && !chance(t, n) {
		return 0
	}
	switch rapid.IntRange(0, 19).Draw(t, "far") {
	case 19:
		return rapid.SampledFrom([]int64{-1, -2, math.MinInt64, math.MaxInt64, s.Revision * 2}).Draw(t, "revision")
	}
	return s.Revision + rapid.Int64Range(-2, 15).Draw(t, "revision")
}

// lease is one of a few leases.
func (s Start) lease(t *rapid.T) int64 { return s.Lease + rapid.Int64Range(0, 4).Draw(t, "lease") }

// oneKey is one of a few keys, and rarely no key.
func oneKey(t *rapid.T) []byte {
	key := rapid.SampledFrom([]string{"a", "b", "c", "aa", "ab", "a", "b", "a\x00", "\xff", "\x00", "a\xff"})
	if chance(t, 40) {
		return nil
	}
	return []byte(key.Draw(t, "key"))
}

// end is the end of a range. Most ranges are one key.
func end(t *rapid.T) []byte {
	if !chance(t, 2) {
		return nil
	}
	return []byte(rapid.SampledFrom([]string{"\x00", "b", "c", "d", "\xff", "a\x00", "\xff\xff", "a", "\x00"}).Draw(t, "end"))
}

func value(t *rapid.T) []byte {
	return []byte(rapid.SampledFrom([]string{"1", "2", "", "3", "a longer value"}).Draw(t, "value"))
}

func (s Start) put(t *rapid.T) *pb.PutRequest {
	r := &pb.PutRequest{Key: oneKey(t), Value: value(t), PrevKv: chance(t, 3)}
	if chance(t, 4) {
		r.Lease = s.lease(t)
	}
	if chance(t, 8) {
		r.IgnoreValue = true
		if !chance(t, 4) {
			r.Value = nil
		}
	}
	if chance(t, 8) {
		r.IgnoreLease = true
		if !chance(t, 4) {
			r.Lease = 0
		}
	}
	return r
}

func (s Start) deleteRange(t *rapid.T) *pb.DeleteRangeRequest {
	return &pb.DeleteRangeRequest{Key: oneKey(t), RangeEnd: end(t), PrevKv: chance(t, 2)}
}

func (s Start) read(t *rapid.T) *pb.RangeRequest {
	r := &pb.RangeRequest{Key: oneKey(t), RangeEnd: end(t), Revision: s.revision(t, 3), Serializable: chance(t, 3)}
	if chance(t, 2) {
		return r
	}
	r.Limit = rapid.SampledFrom([]int64{0, 0, 1, 2, 3, -1}).Draw(t, "limit")
	r.SortOrder = pb.RangeRequest_SortOrder(rapid.SampledFrom([]int32{0, 1, 2, 1, 2, 0, 1, 2, 0, 3}).Draw(t, "order"))
	r.SortTarget = pb.RangeRequest_SortTarget(rapid.SampledFrom([]int32{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5}).Draw(t, "target"))
	r.KeysOnly, r.CountOnly = chance(t, 5), chance(t, 5)
	for _, bound := range []*int64{&r.MinModRevision, &r.MaxModRevision, &r.MinCreateRevision, &r.MaxCreateRevision} {
		*bound = s.revision(t, 5)
	}
	return r
}

// txn is a transaction with at most depth levels of inner transactions.
func (s Start) txn(t *rapid.T, depth int) *pb.TxnRequest {
	r := new(pb.TxnRequest)
	for range rapid.IntRange(0, 2).Draw(t, "compares") {
		r.Compare = append(r.Compare, s.compare(t))
	}
	for range rapid.IntRange(0, 3).Draw(t, "success") {
		r.Success = append(r.Success, s.op(t, depth))
	}
	for range rapid.IntRange(0, 3).Draw(t, "failure") {
		r.Failure = append(r.Failure, s.op(t, depth))
	}
	return r
}

func (s Start) op(t *rapid.T, depth int) *pb.RequestOp {
	switch n := rapid.IntRange(0, 49).Draw(t, "op"); {
	case n < 18:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: s.put(t)}}
	case n < 30:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: s.read(t)}}
	case n < 38:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: s.deleteRange(t)}}
	case n < 49 && depth > 0:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: s.txn(t, depth-1)}}
	case n < 49:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: s.put(t)}}
	}
	return new(pb.RequestOp)
}

func (s Start) compare(t *rapid.T) *pb.Compare {
	c := &pb.Compare{
		Key:      oneKey(t),
		RangeEnd: end(t),
		Result:   pb.Compare_CompareResult(rapid.SampledFrom([]int32{0, 1, 2, 3, 0, 1, 2, 3, 4}).Draw(t, "result")),
		Target:   pb.Compare_CompareTarget(rapid.SampledFrom([]int32{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5}).Draw(t, "target")),
	}
	union := int32(c.Target)
	if chance(t, 10) {
		union = rapid.Int32Range(0, 5).Draw(t, "union")
	}
	switch union {
	case 0:
		c.TargetUnion = &pb.Compare_Version{Version: rapid.Int64Range(0, 3).Draw(t, "version")}
	case 1:
		c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: s.revision(t, 2)}
	case 2:
		c.TargetUnion = &pb.Compare_ModRevision{ModRevision: s.revision(t, 2)}
	case 3:
		c.TargetUnion = &pb.Compare_Value{Value: value(t)}
	case 4:
		c.TargetUnion = &pb.Compare_Lease{Lease: rapid.SampledFrom([]int64{0, s.Lease, s.Lease + 1}).Draw(t, "lease")}
	}
	return c
}

func (s Start) watch(t *rapid.T) *pb.WatchRequest {
	id := rapid.SampledFrom([]int64{0, 0, 0, 1, 2, 3, 1000}).Draw(t, "id")
	switch n := rapid.IntRange(0, 9).Draw(t, "message"); {
	case n < 7:
		c := &pb.WatchCreateRequest{
			Key:            oneKey(t),
			RangeEnd:       end(t),
			StartRevision:  s.revision(t, 5), // on etcd, each watch of the past takes a tenth of a second
			ProgressNotify: chance(t, 3),
			PrevKv:         chance(t, 2),
			Fragment:       chance(t, 3),
			WatchId:        id,
		}
		for _, filter := range []int32{0, 1, 7} {
			if chance(t, 6) {
				c.Filters = append(c.Filters, pb.WatchCreateRequest_FilterType(filter))
			}
		}
		return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: c}}
	case n < 9:
		return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}
	}
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: new(pb.WatchProgressRequest)}}
}
