package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/examples/endpoints/balance"
	"github.com/watchkv/watchkv/examples/endpoints/endpoint"
	"github.com/watchkv/watchkv/examples/endpoints/register"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// within is how soon the list must be right after a change in etcd, such as the expiry of a lease.
const within = time.Second

// ahead is how long before a watch at member 0 another client may know of a change: the member learns of the change by a message of the leader, and
// serves a watch that was behind a little later.
const ahead = 200 * time.Millisecond

// faults are the faults of a member.
var faults = map[string]func(c *etcdmem.Cluster, member int){
	"stopped":                  func(c *etcdmem.Cluster, m int) { c.Stop(m) },
	"frozen":                   func(c *etcdmem.Cluster, m int) { c.Freeze(m) },
	"cut off from the members": func(c *etcdmem.Cluster, m int) { c.Partition(m) },
	"cut off from clients":     func(c *etcdmem.Cluster, m int) { c.Network().Swallow(m) },
	"unable to answer clients": func(c *etcdmem.Cluster, m int) { c.Network().SwallowAnswers(m) },
	"forgotten by a firewall":  func(c *etcdmem.Cluster, m int) { c.Network().Forget(m) },
	"in no trouble":            func(*etcdmem.Cluster, int) {},
}

// scene has services, a client with its list, and a cluster, in a bubble.
type scene struct {
	t       test
	cluster *etcdmem.Cluster
	list    *balance.List
	truth   *truth
	running map[string]announced
	seen    []state // states of the list that are not judged yet
}

// announced is an instance of the service, as etcd and its clients know it.
type announced struct {
	client *clientv3.Client
	stop   func()
	ended  chan struct{}
}

// test is what *testing.T and *rapid.T have in common.
type test interface {
	Fatal(args ...any)
	Cleanup(func())
}

// begin starts a cluster and the client. Member 0 has no faults in the whole test. So the test reads there what etcd holds.
func begin(ctx context.Context, t test) *scene {
	cluster, err := etcdmem.New(3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	user, err := clientv3.New(etcd.KeepAlive(cluster.ClientConfig()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close() })
	list, err := balance.Open(ctx, endpoint.NewMap(etcd.New(user), "greeter"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(list.Close)
	s := &scene{t: t, cluster: cluster, list: list, truth: follow(ctx, cluster.Client(0)), running: make(map[string]announced)}
	t.Cleanup(func() {
		for addr := range s.running {
			s.kill(addr)
		}
	})
	return s
}

// start starts an instance of the service. Its address is its name.
func (s *scene) start(ctx context.Context, addr string) {
	encoded, _ := endpoint.Codec.Encode(endpoint.Endpoint{Addr: addr})
	client, err := clientv3.New(etcd.KeepAlive(s.cluster.ClientConfig()))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	i := announced{client: client, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(i.ended)
		register.Keep(ctx, client, register.Instance{Key: endpoint.Key("greeter", addr), Value: encoded, TTL: 5 * time.Second})
	}()
	s.running[addr] = i
}

// kill ends an instance like SIGKILL: etcd is not notified, and the lease expires.
func (s *scene) kill(addr string) {
	i := s.running[addr]
	delete(s.running, addr)
	i.client.Close() // first, so that the lease is not revoked
	i.stop()
	<-i.ended
}

// end ends an instance properly.
func (s *scene) end(addr string) {
	i := s.running[addr]
	delete(s.running, addr)
	i.stop()
	<-i.ended
	i.client.Close()
}

// tick is the time between two comparisons of the list with what etcd holds.
const tick = 50 * time.Millisecond

// pass lets time pass. In each tick it compares the list with what etcd holds.
func (s *scene) pass(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(tick)
		synctest.Wait()
		_, led := s.cluster.Leader()
		s.seen = append(s.seen, state{s.truth.tick(led), addresses(s.list)})
		if len(s.seen) > int(ahead/tick) {
			if err := s.truth.judge(s.seen[0]); err != nil {
				return err
			}
			s.seen = s.seen[1:]
		}
	}
	return ctx.Err()
}

func (s *scene) mustPass(ctx context.Context, d time.Duration) {
	if err := s.pass(ctx, d); err != nil {
		s.t.Fatal(err)
	}
}

func addresses(l *balance.List) string {
	var all []string
	for _, e := range l.All() {
		all = append(all, e.Addr)
	}
	return strings.Join(all, " ")
}

// truth records what etcd held, and since when.
type truth struct {
	mu     sync.Mutex
	led    time.Duration
	states []state
}

// state is what etcd or a list held, and since when. Only time in which etcd has a leader counts: without a leader etcd confirms nothing, and a
// client that was cut off just before cannot know of the last change.
type state struct {
	since     time.Duration
	addresses string
}

// follow records what etcd holds, without this library. The code can be short because its member has no faults.
func follow(ctx context.Context, client *clientv3.Client) *truth {
	t := &truth{states: []state{{}}}
	watch := client.Watch(ctx, endpoint.Prefix("greeter"), clientv3.WithPrefix(), clientv3.WithRev(1), clientv3.WithCreatedNotify())
	<-watch // now the watch has begun
	go func() {
		var now []string
		for r := range watch {
			for _, e := range r.Events {
				addr := strings.TrimPrefix(string(e.Kv.Key), endpoint.Prefix("greeter"))
				i, found := slices.BinarySearch(now, addr)
				switch {
				case e.Type == clientv3.EventTypeDelete:
					now = slices.Delete(now, i, i+1)
				case !found:
					now = slices.Insert(now, i, addr)
				}
				t.held(strings.Join(now, " "))
			}
		}
	}()
	return t
}

func (t *truth) held(addresses string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.states = append(t.states, state{t.led, addresses})
}

// tick counts one more tick if there is a leader, and returns how much time has been counted.
func (t *truth) tick(led bool) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if led {
		t.led += tick
	}
	return t.led
}

// judge returns an error unless the list was what etcd held at some moment of the second before it was seen.
func (t *truth) judge(list state) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, held := range slices.Backward(t.states) {
		switch {
		case held.addresses == list.addresses:
			return nil
		case held.since < list.since-within:
			return fmt.Errorf("promised: the list is right within %v of a change in etcd, while etcd has a leader\n"+
				"happened: the list is [%s], but etcd has held [%s] for %v", within, list.addresses, held.addresses, list.since-held.since)
		}
	}
	return fmt.Errorf("the list is [%s], which etcd has never held", list.addresses)
}

func TestTheListIsRightWithinASecondOfAnExpiryDuringAnyFaultOfAMember(t *testing.T) {
	for name, happens := range faults {
		for seconds := 1; seconds <= 6; seconds++ { // the lease expires after five seconds, or later if the leader has a fault
			member := 1 + seconds%2
			t.Run(fmt.Sprintf("member %d is %s %d s after an instance was killed", member, name, seconds), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx := t.Context()
					s := begin(ctx, t)
					s.start(ctx, "a")
					s.start(ctx, "b")
					s.mustPass(ctx, 2*time.Second)
					s.kill("a")
					s.mustPass(ctx, time.Duration(seconds)*time.Second)
					happens(s.cluster, member)
					s.mustPass(ctx, 10*time.Second)
					for waited := time.Duration(0); addresses(s.list) != "b"; waited += time.Second { // b may have lost its lease
						if waited > time.Minute {
							t.Fatalf("the list is [%s], want [b]", addresses(s.list))
						}
						s.mustPass(ctx, time.Second)
					}
					s.end("b")
					s.mustPass(ctx, 2*within)
					if got := addresses(s.list); got != "" {
						t.Errorf("after all instances have ended, the list is [%s]", got)
					}
				})
			})
		}
	}
}

// step is one thing that happens in a random story.
type step struct {
	what string
	addr string // the address of the instance
	wait time.Duration
}

func (s step) String() string {
	if faults[s.what] != nil {
		return fmt.Sprintf("the member is %s, and %v pass", s.what, s.wait)
	}
	return fmt.Sprintf("%s %s, and %v pass", s.what, s.addr, s.wait)
}

func steps() *rapid.Generator[[]step] {
	deeds := append([]string{"start", "kill", "end", "mend"}, slices.Sorted(maps.Keys(faults))...)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			what: rapid.SampledFrom(deeds).Draw(t, "what"),
			addr: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "instance"),
			wait: time.Duration(rapid.IntRange(0, 5000).Draw(t, "wait")) * time.Millisecond,
		}
	}), 1, 8)
}

// To run more of them: go test ./examples/endpoints -run RandomStories -rapid.checks 10000
func TestTheListIsRightWithinASecondDuringRandomFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		member := rapid.IntRange(1, 2).Draw(t, "member")
		story := steps().Draw(t, "story")
		rapid.SyncTest(t, func(t *rapid.T) {
			ctx := t.Context()
			s := begin(ctx, t)
			pass := func(d time.Duration) {
				if err := s.pass(ctx, d); err != nil {
					t.Fatalf("\n%v\nin the story of member %d: %v", err, member, story)
				}
			}
			for _, step := range story {
				s.play(ctx, step, member)
				pass(step.wait)
			}
			s.mend(ctx)
			for _, addr := range slices.Sorted(maps.Keys(s.running)) {
				s.end(addr)
			}
			pass(20 * time.Second)
			if got := addresses(s.list); got != "" {
				t.Fatalf("after all instances have ended, the list is [%s], in the story of member %d: %v", got, member, story)
			}
		})
	})
}

func (s *scene) play(ctx context.Context, step step, member int) {
	_, running := s.running[step.addr]
	switch {
	case step.what == "start" && !running:
		s.start(ctx, step.addr)
	case step.what == "kill" && running:
		s.kill(step.addr)
	case step.what == "end" && running:
		s.end(step.addr)
	case step.what == "mend":
		s.mend(ctx)
	case faults[step.what] != nil:
		faults[step.what](s.cluster, member)
	}
}

// mend ends all faults.
func (s *scene) mend(ctx context.Context) {
	s.cluster.Network().Mend()
	s.cluster.Heal()
	s.cluster.Thaw()
	if err := s.cluster.Restart(ctx); err != nil {
		s.t.Fatal(err)
	}
}
