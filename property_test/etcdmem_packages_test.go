package property_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/property_test/internal/rpc"
)

// To run for longer, and with one package only:
//
//	go test ./property_test -run '^TestPackagesOfEtcdsClientGetTheSameAnswers$' -rapid.checks=5000 -timeout=0 -v -package=leasing
var onePackage = flag.String("package", "", "the package that TestPackagesOfEtcdsClientGetTheSameAnswers uses, instead of any")

// packages has how each package of etcd's client is used by a program.
var packages = map[string]packageProgram{
	"concurrency": {begin: sessions, wait: time.Second},
	"leasing":     {begin: leasings, wait: time.Millisecond, within: 1500 * time.Millisecond}, // see leasings
	"mirror":      {begin: mirrors, wait: time.Second},
	"namespace":   {begin: namespaces, wait: time.Second},
	"naming":      {begin: names, wait: time.Second},
	"stm":         {begin: transactions, wait: time.Second},
}

// Random programs of calls of the packages of etcd's client module run on etcd and on etcd in memory. What the calls return and what the
// channels bring is compared.
func TestPackagesOfEtcdsClientGetTheSameAnswers(t *testing.T) {
	comparePrograms(t, func(t *rapid.T) packageProgram {
		if *onePackage != "" {
			return packages[*onePackage]
		}
		return packages[rapid.SampledFrom(slices.Sorted(maps.Keys(packages))).Draw(t, "package")]
	})
}

// call is one call of a program. What the numbers mean, the package decides.
type call [7]int

func drawCalls(t *rapid.T) []call {
	var numbers [100]int
	for i := range numbers {
		numbers[i] = i
	}
	number := rapid.SampledFrom(numbers[:]) // each as likely as the others, which IntRange does not promise
	calls := make([]call, rapid.IntRange(5, 30).Draw(t, "calls"))
	for i := range calls {
		for j := range calls[i] {
			calls[i][j] = number.Draw(t, "number")
		}
	}
	return calls
}

// packageRun is a program that runs on one server.
type packageRun struct {
	rapid.TB
	packageProgram
	ctx      context.Context
	client   *clientv3.Client
	start    int64 // the revision before the program
	notes    []string
	channels []*channel
	leases   []clientv3.LeaseID
	ends     []func()
	counts   [][]int // how many messages each channel has brought after each step
	wanted   [][]int // the counts in memory, when the program runs on etcd
	past     bool    // a watch of the past has begun in this step
	reached  []int64 // the revision after each step
	reaching []int64 // those in memory
}

// channel has what a channel has brought.
type channel struct {
	name    string
	mu      sync.Mutex
	came    []string
	changed chan struct{}
}

func (c *channel) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.came = append(c.came, fmt.Sprintf(format, args...))
	close(c.changed)
	c.changed = make(chan struct{})
}

func (r *packageRun) newChannel(name string) *channel {
	c := &channel{name: name, changed: make(chan struct{})}
	r.channels = append(r.channels, c)
	return c
}

func (r *packageRun) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *packageRun) atEnd(f func()) { r.ends = append(r.ends, f) }

// settle waits until all that a step causes has come, and notes it.
func (r *packageRun) settle() {
	if r.wanted == nil {
		time.Sleep(r.wait)
		synctest.Wait()
	} else if n := len(r.counts); n < len(r.wanted) {
		for i, want := range r.wanted[n] {
			r.channels[i].await(want)
		}
		if r.past {
			r.catchUp()
		}
		r.reach(r.reaching[n])
	}
	r.past = false
	r.reached = append(r.reached, r.revision())
	var counts []int
	for _, c := range r.channels {
		c.mu.Lock()
		counts = append(counts, len(c.came))
		for _, text := range c.came {
			r.note("   %s: %s", c.name, text)
		}
		c.came = nil
		c.mu.Unlock()
	}
	r.counts = append(r.counts, counts)
}

// catchUp waits until etcd has synced all watches that have begun in the past. It syncs all of them at once, ten times a second, and also
// ends those whose history is compacted.
func (r *packageRun) catchUp() {
	for resp := range r.client.Watch(clientv3.WithRequireLeader(r.ctx), "none", clientv3.WithRev(1)) {
		if resp.CompactRevision == 0 {
			r.Fatalf("revision 1 is not compacted: %+v", resp)
		}
	}
}

// reach waits until etcd is at the revision that was reached in memory, or until it is clear that this does not happen.
func (r *packageRun) reach(revision int64) {
	for deadline := time.Now().Add(10 * time.Second); r.revision() < revision && time.Now().Before(deadline); {
	}
}

func (r *packageRun) revision() int64 {
	resp, err := r.client.Get(r.ctx, "none", clientv3.WithSerializable())
	if err != nil {
		r.Fatal(err)
	}
	return resp.Header.Revision
}

func (c *channel) await(n int) {
	timeout := time.After(10 * time.Second)
	for {
		c.mu.Lock()
		enough, changed := len(c.came) >= n, c.changed
		c.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			return
		}
	}
}

// lease makes notes the same on all servers: leases that servers choose are named by their order.
func (r *packageRun) lease(id clientv3.LeaseID) { r.leases = append(r.leases, id) }

func (r *packageRun) text() []string {
	var all []string
	for _, note := range r.notes {
		for i, id := range r.leases {
			note = strings.ReplaceAll(note, fmt.Sprint(int64(id)), fmt.Sprint("lease", i))
			note = strings.ReplaceAll(note, fmt.Sprintf("%x", int64(id)), fmt.Sprint("lease", i))
		}
		all = append(all, note)
	}
	return all
}

// packageProgram is how a package is used by a program.
type packageProgram struct {
	begin  func(r *packageRun) (step func(call))
	wait   time.Duration // the time between the steps in memory
	within time.Duration // a program that takes longer on etcd is not compared; zero for no limit
}

func comparePrograms(t *testing.T, draw func(*rapid.T) packageProgram) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1)
	etcd := &realEtcd{conn: cluster.Client().ActiveConnection()}
	steps, slow := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p, calls := draw(t), drawCalls(t)
		start := etcd.clear(t)
		inMemory := &packageRun{TB: t, start: start.Revision, packageProgram: p}
		rapid.SyncTest(t, func(t *rapid.T) {
			mem, err := etcdmem.New(1, etcdmem.WithRevision(start.Revision-2))
			if err != nil {
				t.Fatal(err)
			}
			defer mem.Close()
			if _, err := rpc.Forget(context.Background(), mem.Client().ActiveConnection()); err != nil {
				t.Fatal(err)
			}
			inMemory.run(mem, p, calls)
		})
		onEtcd := &packageRun{TB: t, packageProgram: p, start: start.Revision, wanted: inMemory.counts, reaching: inMemory.reached}
		began := time.Now()
		onEtcd.run(cluster, p, calls)
		if p.within > 0 && time.Since(began) > p.within {
			slow++
			return
		}
		steps += len(calls)
		if d := cmp.Diff(onEtcd.text(), inMemory.text()); d != "" {
			t.Fatalf("answers, -on etcd +in memory:\n%s\nall on etcd:\n%s", d, strings.Join(onEtcd.text(), "\n"))
		}
	})
	t.Logf("compared %d programs, %d steps in all", etcd.programs-slow, steps)
}

func (r *packageRun) run(cluster etcdmem.AnyMembers, p packageProgram, calls []call) {
	client, err := clientv3.New(cluster.ClientConfig())
	if err != nil {
		r.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(context.Background())
	r.ctx, r.client = ctx, client
	step := p.begin(r)
	for i, c := range calls {
		r.note("%d %v", i, c)
		step(c)
		r.settle()
	}
	cancel()
	for _, end := range r.ends {
		end()
	}
}

func (r *packageRun) answer(what string, resp any, err error) {
	if err != nil {
		r.note("   %s: %v: %v", what, status.Code(err), err)
		return
	}
	r.note("   %s: %s", what, answerText(resp))
}

// answerText is a response without what names the member.
func answerText(resp any) string {
	switch resp := resp.(type) {
	case *clientv3.GetResponse:
		return fmt.Sprintf("at %d count %d more %t: %s", resp.Header.GetRevision(), resp.Count, resp.More, kvsText(resp.Kvs))
	case **clientv3.GetResponse: // the channels of etcd 3.7 have pointers
		return answerText(*resp)
	case *clientv3.PutResponse:
		return fmt.Sprintf("put at %d, before %s", resp.Header.GetRevision(), kvText(resp.PrevKv))
	case *clientv3.DeleteResponse:
		return fmt.Sprintf("deleted %d at %d, before %s", resp.Deleted, resp.Header.GetRevision(), kvsText(resp.PrevKvs))
	case *clientv3.TxnResponse:
		text := fmt.Sprintf("at %d succeeded %t [", resp.Header.GetRevision(), resp.Succeeded)
		for _, op := range resp.Responses {
			switch op := op.Response.(type) {
			case *pb.ResponseOp_ResponseRange:
				text += " get " + answerText((*clientv3.GetResponse)(op.ResponseRange))
			case *pb.ResponseOp_ResponsePut:
				text += " " + answerText((*clientv3.PutResponse)(op.ResponsePut))
			case *pb.ResponseOp_ResponseDeleteRange:
				text += " " + answerText((*clientv3.DeleteResponse)(op.ResponseDeleteRange))
			case *pb.ResponseOp_ResponseTxn:
				text += " txn " + answerText((*clientv3.TxnResponse)(op.ResponseTxn))
			default:
				text += fmt.Sprintf(" %T", op)
			}
		}
		return text + " ]"
	}
	return fmt.Sprint(resp)
}

func kvsText(kvs []*mvccpb.KeyValue) string {
	var all []string
	for _, kv := range kvs {
		all = append(all, kvText(kv))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func kvText(kv *mvccpb.KeyValue) string {
	if kv == nil {
		return "none"
	}
	return fmt.Sprintf("%q=%q (%d %d %d lease %d)", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease)
}

// follow notes what a watch brings.
func (r *packageRun) follow(name string, watch clientv3.WatchChan) {
	c := r.newChannel(name)
	go func() {
		for resp := range watch {
			text := fmt.Sprintf("at %d created %t canceled %t compacted %d %v:", resp.Header.Revision, resp.Created, resp.Canceled, resp.CompactRevision, resp.Err())
			for _, e := range resp.Events {
				text += fmt.Sprintf(" %v %s, before %s;", e.Type, kvText(e.Kv), kvText(e.PrevKv))
			}
			c.add("%s", text)
		}
		if r.ctx.Err() == nil {
			c.add("closed")
		}
	}()
}
