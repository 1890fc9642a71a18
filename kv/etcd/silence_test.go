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

// silences have a member say nothing more, and end no connection to it.
var silences = []struct {
	what  string
	fault func(*etcdmem.Cluster) error
}{
	{"a member vanishes", func(c *etcdmem.Cluster) error { c.Network().Swallow(0); return nil }},
	{"connections are half open", func(c *etcdmem.Cluster) error { c.Network().Forget(0); return nil }},
	{"a member is frozen", func(c *etcdmem.Cluster) error { return c.Freeze(0) }},
}

// mends are what makes Values leave a member that is silent.
var mends = []struct {
	name   string
	config func(clientv3.Config) clientv3.Config
	check  time.Duration // of a silent watch; zero is none
	within time.Duration // how long an update may take; zero if none comes
}{
	{"without keep-alive and check", plain, 0, 0},
	{"with keep-alive", etcd.KeepAlive, 0, 30 * time.Second},
	{"with a check", plain, 5 * time.Second, 15 * time.Second},
}

// In the time of real networks value's TestV11AMemberThatVanishesSilentlyIsLeft tells the same.
func TestASilentMemberIsLeftByKeepAliveAndByTheCheckAndByNothingElse(t *testing.T) {
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
					// And they stay where they can be served.
					time.Sleep(time.Minute)
					p.put("a minute later")
					p.hear("a minute later", time.Second)
				})
			})
		}
	}
}

// program is some Values, in two Stores of one client, all of whose watches are at member 0. The two other members serve on.
type program struct {
	t        *testing.T
	cluster  *counting
	writer   *etcd.Store // at the other members
	watchers []*value.Watcher[string]
	bare     clientv3.WatchChan // of the same client
}

func newProgram(t *testing.T, config func(clientv3.Config) clientv3.Config, check time.Duration) *program {
	p := &program{t: t, cluster: newCounting(t, 3)}
	if err := p.cluster.MoveLeader(t.Context(), 1); err != nil { // or its loss would be another fault
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
	time.Sleep(time.Minute) // until the client is connected to all
	return p
}

func (p *program) put(text string) {
	must(p.writer.Put(p.t.Context(), "k", []byte(text)))(p.t)
}

// hear requires each Value to have text within d.
func (p *program) hear(text string, d time.Duration) {
	p.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(p.t.Context(), d)
	defer cancel()
	for i, w := range p.watchers {
		if got, err := w.Get(ctx); err != nil || got != text {
			p.t.Errorf("promised: while members can be reached each Value is served by one of them, %v after a fault at the latest\n"+
				"happened: %v later Value %d of %d has %q and the error %v; want %q", d, time.Since(began), i, len(p.watchers), got, err, text)
			return
		}
	}
	p.t.Logf("all have %q after %v", text, time.Since(began))
}

// hearNothing requires that no Value hears of the update, and no watch of the bare client either: the fault is what it is said to be.
func (p *program) hearNothing() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Minute)
	defer cancel()
	for _, w := range p.watchers {
		if got, err := w.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			p.t.Errorf("the test itself: with nothing that could notice the fault, a Value has %q and the error %v", got, err)
		}
	}
	select {
	case got := <-p.bare:
		p.t.Errorf("the test itself: with nothing that could notice the fault, a watch of the bare client has %v", got.Events)
	default:
	}
}
