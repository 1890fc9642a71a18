package property_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// To run for longer, and to run the program of one seed:
//
//	go test ./property_test -run '^TestWatchesThatCatchUpGetOnlyWhatEtcdMaySend$' -catchups=2000 -timeout=0 -v
//	go test ./property_test -run '^TestWatchesThatCatchUpGetOnlyWhatEtcdMaySend$' -catchups=1 -catchup=4711
var (
	catchUps     = flag.Int("catchups", 8, "how many programs TestWatchesThatCatchUpGetOnlyWhatEtcdMaySend runs in memory; one in eight runs on etcd too")
	firstCatchUp = flag.Uint64("catchup", 0, "the seed of the first of these programs")
)

// These programs create watches of the past on one stream, and do not wait until those have caught up: they cancel watches and request progress
// meanwhile, use identities again, put and delete keys, and compact the history. What etcd answers then depends on chance. So a judge decides
// whether each message is one that etcd may send. Programs run on etcd to test the judge.
func TestWatchesThatCatchUpGetOnlyWhatEtcdMaySend(t *testing.T) {
	leaktest.Check(t)
	counts := make(map[string]int)
	for seed := *firstCatchUp; seed < *firstCatchUp+uint64(*catchUps); seed++ {
		var inMemory catchUp
		synctest.Test(t, func(t *testing.T) {
			inMemory.run(t, etcdmem.Start(t, 1).Client().ActiveConnection(), seed, "in memory")
		})
		if inMemory.judge.leftovers > 0 {
			t.Errorf("in memory %d messages came after one that was caused later", inMemory.judge.leftovers)
		}
		for what, n := range inMemory.judge.counts {
			counts["in memory: "+what] += n
		}
		if seed%8 == 0 {
			var onEtcd catchUp
			cluster := etcdtest.Start(t, 1)
			onEtcd.run(t, cluster.Client().ActiveConnection(), seed, "on etcd")
			if err := cluster.Close(); err != nil {
				t.Fatal(err)
			}
			for what, n := range onEtcd.judge.counts {
				counts["on etcd: "+what] += n
			}
		}
		if t.Failed() {
			t.Fatalf("with the seed %d; to run it again: -catchups=1 -catchup=%d", seed, seed)
		}
	}
	t.Logf("%d programs: %v", *catchUps, counts)
}

// catchUp is one program.
type catchUp struct {
	ctx    context.Context
	kv     pb.KVClient
	stream pb.Watch_WatchClient
	random *rand.Rand
	judge  *streamJudge
}

func (c *catchUp) run(t *testing.T, conn *grpc.ClientConn, seed uint64, where string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c.ctx, c.kv, c.random, c.judge = ctx, pb.NewKVClient(conn), rand.New(rand.NewPCG(seed, 0)), newStreamJudge()
	for range 1200 + c.random.IntN(1800) {
		c.write(t)
	}
	var err error
	if c.stream, err = pb.NewWatchClient(conn).Watch(ctx, grpc.MaxCallRecvMsgSize(math.MaxInt32)); err != nil {
		t.Fatal(err)
	}
	read, slow := make(chan struct{}), rand.New(rand.NewPCG(seed, 1))
	go func() {
		defer close(read)
		for {
			if slow.IntN(10) == 0 {
				time.Sleep(time.Duration(slow.IntN(60)) * time.Millisecond) // so that messages have to wait at the server
			}
			resp, err := c.stream.Recv()
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("%s: the stream ends with %v", where, err)
				}
				return
			}
			c.judge.message(resp)
		}
	}()
	for range 120 {
		c.step(t)
	}
	c.judge.awaitComplete(ctx, 20*time.Second)
	cancel()
	<-read
	for _, complaint := range c.judge.complaints {
		t.Errorf("%s: %s", where, complaint)
	}
}

func (c *catchUp) one(of ...string) []byte { return []byte(of[c.random.IntN(len(of))]) }

// write makes one revision, or none if it deletes nothing.
func (c *catchUp) write(t *testing.T) {
	key := c.one("a", "b", "c", "ab", "b", "b")
	value := []byte(fmt.Sprint(c.random.IntN(1000)))
	if c.random.IntN(100) == 0 {
		value = make([]byte, 200<<10)
	}
	put := &pb.PutRequest{Key: key, Value: value}
	var r *pb.TxnRequest
	switch c.random.IntN(10) {
	case 0:
		r = &pb.TxnRequest{Success: []*pb.RequestOp{deletion(string(key), string(c.one("", "c", "\x00")))}}
	case 1:
		r = &pb.TxnRequest{Success: []*pb.RequestOp{deletion("a", "b"), {Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("b")}}}, {Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("c")}}}}}
	default:
		r = &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: put}}}}
	}
	c.judge.write(r, func() (int64, error) {
		resp, err := c.kv.Txn(c.ctx, r)
		return resp.GetHeader().GetRevision(), err
	})
}

func (c *catchUp) step(t *testing.T) {
	revision := func() int64 {
		_, last := c.judge.revisions()
		switch c.random.IntN(8) {
		case 0:
			return 0
		case 1:
			return last + int64(c.random.IntN(10))
		case 2:
			return int64(c.random.IntN(50))
		}
		return max(2, last-c.random.Int64N(last))
	}
	var r *pb.WatchRequest
	switch n := c.random.IntN(100); {
	case n < 28:
		create := &pb.WatchCreateRequest{
			Key: c.one("a", "b", "a", "b", "c", "ab", "none", ""), RangeEnd: c.one("", "", "", "c", "\x00", "\x00", "b"), StartRevision: revision(),
			WatchId: int64(max(0, c.random.IntN(12)-6)), PrevKv: c.random.IntN(3) == 0, Fragment: c.random.IntN(2) == 0,
		}
		if c.random.IntN(4) == 0 {
			create.Filters = append(create.Filters, pb.WatchCreateRequest_FilterType(c.random.IntN(2)))
		}
		r = &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}
	case n < 42:
		r = &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: int64(c.random.IntN(6))}}}
	case n < 60:
		r = &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: new(pb.WatchProgressRequest)}}
	case n < 78:
		c.write(t)
		return
	case n < 82:
		compacted, last := c.judge.revisions()
		at := compacted + 1 + c.random.Int64N(last-compacted+1)
		if c.random.IntN(12) > 0 {
			at = min(at, compacted+40)
		}
		c.judge.compact(at, func() error {
			_, err := c.kv.Compact(c.ctx, &pb.CompactionRequest{Revision: at})
			return err
		})
		return
	case n < 95:
		time.Sleep(time.Duration(c.random.IntN(10)) * time.Millisecond) // so that there is time for some of the messages
		return
	default:
		time.Sleep(time.Duration(c.random.IntN(150)) * time.Millisecond)
		return
	}
	c.judge.request(r)
	if err := c.stream.Send(r); err != nil {
		t.Error(err)
	}
}
