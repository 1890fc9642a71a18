package value_test

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/value"
)

var onRealMembers = flag.Bool("real", false, "run the tests of silent networks with real members, processes and time: minutes on an idle machine")

// In these tests members vanish silently. The tests run in virtual time, and with -real in real time.
func TestV11ASilentMemberIsAbandoned(t *testing.T) {
	for _, s := range []silentFault{
		{"its packets are swallowed", func(c etcdmem.AnyCluster) error { c.Network().Swallow(0); return nil }, allPrograms},
		{"requests to it are swallowed", func(c etcdmem.AnyCluster) error { c.Network().SwallowRequests(0); return nil }, checked},
		{"its answers are swallowed", func(c etcdmem.AnyCluster) error { c.Network().SwallowAnswers(0); return nil }, checked},
		{"its connections are forgotten", func(c etcdmem.AnyCluster) error { c.Network().Forget(0); return nil }, checked},
		{"all connections are forgotten", func(c etcdmem.AnyCluster) error { c.Network().Forget(); return nil }, keptAlive},
		{"it is frozen", func(c etcdmem.AnyCluster) error { return c.Freeze(0) }, allPrograms},
		{"it is slow to answer", func(c etcdmem.AnyCluster) error { c.Network().Delay(2*time.Second, 0); return nil }, checked},
		{"it is slow to accept", func(c etcdmem.AnyCluster) error {
			c.Network().Delay(3*time.Second, 0) // too slow for a new connection
			c.Network().Reset(0)
			return nil
		}, checked},
	} {
		t.Run(s.name, func(t *testing.T) { inAWorld(t, s.run) })
	}
}

// inAWorld runs a story with three members in memory, in a bubble, or with -real on real members.
func inAWorld(t *testing.T, story func(*testing.T, etcdmem.AnyCluster)) {
	if *onRealMembers {
		leaktest.Check(t)
		story(t, etcdmem.Any(etcdtest.Start(t, 3, etcdtest.WithProcesses())))
		return
	}
	synctest.Test(t, func(t *testing.T) { story(t, etcdmem.Any(etcdmem.Start(t, 3))) })
}

// A program is a client of all three members with Values on it, and the settings that make it leave a silent member.
type program struct {
	values, stores int
	keepAlive      time.Duration
	opts           []value.Option
	within         time.Duration // the longest time that an update may take after the fault
}

// checkedProgram relies on the check of a silent watch alone.
func checkedProgram(values, stores int) program {
	return program{values, stores, 0, []value.Option{value.WithCheck(5 * time.Second)}, 15 * time.Second}
}

// keptAliveProgram relies on its client's keep-alive alone.
func keptAliveProgram(values, stores int) program {
	return program{values, stores, 10 * time.Second, nil, 30 * time.Second}
}

var (
	checked     = []program{checkedProgram(1, 1), checkedProgram(10, 1), checkedProgram(100, 1), checkedProgram(10, 2)}
	keptAlive   = []program{keptAliveProgram(1, 1), keptAliveProgram(10, 1), keptAliveProgram(100, 1), keptAliveProgram(10, 2)}
	allPrograms = append(checked[:len(checked):len(checked)], keptAlive...)
)

func (p program) String() string {
	by := "WithCheck"
	if p.keepAlive > 0 {
		by = "keep-alive"
	}
	return fmt.Sprintf("a client with %s, values=%d, stores=%d", by, p.values, p.stores)
}

// silentFault is a story: when the fault happens, member 0 serves all watches of all programs. The two other members still work.
type silentFault struct {
	name     string
	fault    func(etcdmem.AnyCluster) error
	programs []program
}

func (s silentFault) run(t *testing.T, cluster etcdmem.AnyCluster) {
	must(t, cluster.MoveLeader(patiently(t), 1)) // otherwise the cluster would also lose its leader
	var programs []*runningProgram
	for i, p := range s.programs {
		r := &runningProgram{program: p, key: fmt.Sprintf("/%d", i), bareSaw: make(chan time.Time, 1)}
		r.put(t, cluster, "before")
		programs = append(programs, r)
	}
	cluster.Network().Refuse(1, 2) // so that all watches are at member 0
	watches := 0
	for _, r := range programs {
		r.start(t, cluster)
		watches += len(r.watchers) + 1
	}
	must(t, cluster.WaitWatchers(patiently(t), 0, watches))
	cluster.Network().Mend(1, 2)
	for _, r := range programs {
		r.connected(t)
	}

	must(t, s.fault(cluster))
	began := time.Now()
	for _, r := range programs {
		r.put(t, cluster, "after the fault")
	}
	var watching sync.WaitGroup
	for _, r := range programs {
		watching.Go(func() {
			if !r.see(t, began, "after the fault") {
				return
			}
			// A check may end a watch that still delivers. That happens if only requests are lost.
			if r.keepAlive == 0 && !r.confirm(t, began) {
				return
			}
			again := time.Now()
			r.put(t, cluster, "next")
			r.see(t, again, "next")
		})
	}
	watching.Wait()
}

// runningProgram is a program that runs.
type runningProgram struct {
	program
	key      string // the beginning of the keys of all Values
	client   *clientv3.Client
	values   []*value.Value[string]
	watchers []*value.Watcher[string]

	bare    clientv3.WatchChan // a watch of the same client without a Value, for comparison
	bareSaw chan time.Time     // when it saw the put after the fault
}

func (r *runningProgram) start(t *testing.T, cluster etcdmem.AnyCluster) {
	cfg := cluster.ClientConfig()
	cfg.DialKeepAliveTime, cfg.DialKeepAliveTimeout = r.keepAlive, 5*time.Second
	client, err := clientv3.New(cfg)
	must(t, err)
	r.client = client
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	t.Cleanup(func() {
		for _, w := range r.watchers {
			w.Close()
		}
		cancel()
		client.Close()
		following.Wait()
	})
	var stores []*etcd.Store
	for range r.stores {
		stores = append(stores, etcd.New(client))
	}
	for i := range r.program.values {
		v := value.New(stores[i%len(stores)], r.keyOf(i), value.String, r.opts...)
		r.values = append(r.values, v)
		r.watchers = append(r.watchers, v.Watch())
	}
	for _, w := range r.watchers {
		if got, err := w.Get(patiently(t)); err != nil || got != "before" {
			t.Fatalf("before the fault Get returned %s", describe(got, err))
		}
	}
	r.bare = client.Watch(ctx, r.key+"/bare")
	following.Go(func() {
		for resp := range r.bare {
			if len(resp.Events) > 0 {
				select {
				case r.bareSaw <- time.Now():
				default:
				}
			}
		}
	})
}

func (r *runningProgram) keyOf(i int) string { return fmt.Sprintf("%s/%d", r.key, i) }

// connected waits until the program has connections to the members that will not fail, as it would have after some time.
func (r *runningProgram) connected(t *testing.T) {
	t.Helper()
	member := make(map[uint64]bool)
	for ctx := patiently(t); len(member) < 3; {
		got, err := r.client.Get(ctx, r.key, clientv3.WithSerializable())
		must(t, err)
		member[got.Header.MemberId] = true
		time.Sleep(10 * time.Millisecond) // nothing notifies when a client connects; in a bubble, only a sleep lets time pass
	}
}

// put changes the keys of all Values and the key of the bare watch, over new connections to members without a fault.
func (r *runningProgram) put(t *testing.T, cluster etcdmem.AnyCluster, text string) {
	client, err := clientv3.New(cluster.ClientConfig(1, 2))
	must(t, err)
	defer client.Close()
	var writing sync.WaitGroup
	for i := range r.program.values {
		writing.Go(func() { putOver(t, client, r.keyOf(i), text) })
	}
	if text != "before" {
		putOver(t, client, r.key+"/bare", text)
	}
	writing.Wait()
}

func putOver(t *testing.T, client *clientv3.Client, key, text string) {
	if _, err := client.Put(patiently(t), key, text); err != nil {
		t.Errorf("the test itself: %v", err)
	}
}

// see reports whether every Value sees text soon enough after began.
func (r *runningProgram) see(t *testing.T, began time.Time, text string) bool {
	ctx, cancel := context.WithDeadline(t.Context(), began.Add(r.within))
	defer cancel()
	blind, last := 0, value.Status{}
	for i, w := range r.watchers {
		for {
			got, err := w.Get(ctx)
			if err != nil {
				blind, last = blind+1, r.values[i].Status()
			}
			if err != nil || got == text {
				break
			}
		}
	}
	took := time.Since(began).Round(time.Millisecond)
	t.Logf("%v: %d see %q after %v; a bare watch of the same client sees it %s",
		r.program, len(r.watchers)-blind, text, took, r.bareSays(began))
	if blind > 0 {
		t.Errorf("\npromised: V11, while members of the cluster can be reached, one of them serves each Value within %v after a fault"+
			"\nhappened: %v: %d of %d have not seen %q after %v; the status of one is %+v",
			r.within, r.program, blind, len(r.watchers), text, took, last)
	}
	return blind == 0
}

// confirm reports whether each Value has begun a read after the fault that is answered soon enough.
func (r *runningProgram) confirm(t *testing.T, began time.Time) bool {
	end := time.Now().Add(r.within)
	for _, v := range r.values {
		for !v.Status().Confirmed.After(began) {
			if time.Now().After(end) {
				t.Errorf("\npromised: V11, while members of the cluster can be reached, the read that checks a silent watch is answered"+
					"\nhappened: %v: no read was answered within %v after the fault; the status is %+v", r.program, r.within, v.Status())
				return false
			}
			time.Sleep(10 * time.Millisecond) // Status is polled
		}
	}
	return true
}

// bareSays says when the bare watch saw its update. That may be a little later than the Values.
func (r *runningProgram) bareSays(began time.Time) string {
	select {
	case saw := <-r.bareSaw:
		return fmt.Sprintf("after %v", saw.Sub(began).Round(time.Millisecond))
	case <-time.After(time.Second):
		return "not at all"
	}
}
