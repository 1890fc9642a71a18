package etcd_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/value"
)

// silences are faults in which a member sends nothing more, while the connections to it stay open.
var silences = []struct {
	what  string
	fault func(*etcdmem.Cluster) error
}{
	{"a member vanishes", func(c *etcdmem.Cluster) error { c.Network().Swallow(0); return nil }},
	{"connections are half open", func(c *etcdmem.Cluster) error { c.Network().Forget(0); return nil }},
	{"a member is frozen", func(c *etcdmem.Cluster) error { return c.Freeze(0) }},
}

// mends are the settings that make Values leave a silent member.
var mends = []struct {
	name   string
	config func(clientv3.Config) clientv3.Config
	check  time.Duration // the interval of the checks of a silent watch; zero for no checks
	within time.Duration // how long an update may take; zero if it never arrives
}{
	{"without keep-alive and check", plain, 0, 0},
	{"with keep-alive", etcd.KeepAlive, 0, 30 * time.Second},
	{"with a check", plain, 5 * time.Second, 15 * time.Second},
}

// TestV11ASilentMemberIsAbandoned of package value shows the same on a real network.
func TestOnlyKeepAliveAndTheCheckAbandonASilentMember(t *testing.T) {
	for _, s := range silences {
		for _, m := range mends {
			t.Run(s.what+" "+m.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newProgram(t, m.config, m.check)
					if err := s.fault(p.cluster.Cluster); err != nil {
						t.Fatal(err)
					}
					p.put("after the fault")
					if m.within == 0 {
						p.hearNothing()
						return
					}
					p.hear("after the fault", m.within)
					// The Values stay at members that can serve them.
					time.Sleep(time.Minute)
					p.put("a minute later")
					p.hear("a minute later", time.Second)
				})
			})
		}
	}
}

// program has some Values in two Stores of one client. All its watches are at member 0. The two other members continue to work.
type program struct {
	t        *testing.T
	cluster  *counting
	writer   *etcd.Store // at the other members
	watchers []*value.Watcher[string]
	bare     clientv3.WatchChan // a watch of the same client, without a Store
}

func newProgram(t *testing.T, config func(clientv3.Config) clientv3.Config, check time.Duration) *program {
	p := &program{t: t, cluster: newCounting(t, 3)}
	if err := p.cluster.MoveLeader(t.Context(), 1); err != nil { // otherwise the fault would also cost the cluster its leader
		t.Fatal(err)
	}
	p.writer = etcd.New(p.cluster.Client(1, 2))
	p.put("before")
	p.cluster.Network().Refuse(1, 2)
	client := p.cluster.client(config)
	stores := []*etcd.Store{etcd.New(client), etcd.New(client)}
	for i := range 10 {
		w := value.New(stores[i%2], "k", value.String, value.WithCheck(check)).Watch()
		t.Cleanup(func() { w.Close() })
		p.watchers = append(p.watchers, w)
	}
	p.hear("before", time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	p.bare = client.Watch(ctx, "k")
	if err := p.cluster.WaitWatchers(t.Context(), 0, len(p.watchers)+1); err != nil {
		t.Fatal(err)
	}
	p.cluster.Network().Mend(1, 2)
	time.Sleep(time.Minute) // until the client is connected to all members
	return p
}

func (p *program) put(text string) {
	must(p.writer.Put(p.t.Context(), "k", []byte(text)))(p.t)
}

// hear requires that each Value has text within d.
func (p *program) hear(text string, d time.Duration) {
	p.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(p.t.Context(), d)
	defer cancel()
	for i, w := range p.watchers {
		if got, err := w.Get(ctx); err != nil || got != text {
			p.t.Errorf("promised: while members can be reached, one of them serves each Value within %v after a fault\n"+
				"happened: %v later Value %d of %d has %q and the error %v; want %q", d, time.Since(began), i, len(p.watchers), got, err, text)
			return
		}
	}
	p.t.Logf("all have %q after %v", text, time.Since(began))
}

// hearNothing requires that neither a Value nor the watch of the bare client gets the update. This proves that the fault works.
func (p *program) hearNothing() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Minute)
	defer cancel()
	for _, w := range p.watchers {
		if got, err := w.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			p.t.Errorf("the test itself: nothing could notice the fault, but a Value has %q and the error %v", got, err)
		}
	}
	select {
	case got := <-p.bare:
		p.t.Errorf("the test itself: nothing could notice the fault, but a watch of the bare client has %v", got.Events)
	default:
	}
}
