package value_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// site is a cluster of three members as the scenarios see it, with clients that reach some of them.
type site interface {
	// client returns a client of the given members, or of all if none is given.
	client(t *testing.T, members ...int) *client
	stop(t *testing.T, member int)
	start(t *testing.T, member int)
	// partition separates a member from the other members, but not from its clients.
	partition(t *testing.T, member int)
	heal(t *testing.T)
	// compact forgets all history before the newest revision.
	compact(t *testing.T)
	backup(t *testing.T) (restore func())
}

// client is a store as an application has it, with the means to make it fail from outside.
type client struct {
	*fault.Store
	pointAt func(members ...int)
	close   func()
}

// sites are what every scenario runs on.
var sites = []struct {
	name   string
	bubble bool
	make   func(t *testing.T) site
}{
	{"memory", false, func(*testing.T) site { return newMemorySite() }},
	{"etcdmem", true, func(t *testing.T) site { return &etcdSite{etcdmem.Any(etcdmem.Start(t, 3))} }},
	{"etcd", false, func(t *testing.T) site { return &etcdSite{etcdmem.Any(etcdtest.Start(t, 3))} }},
}

// memorySite has one store. A client is cut off from it when none of its members is up and in the majority.
type memorySite struct {
	store   *memory.Store
	gone    map[int]bool
	clients []*memoryClient
}

type memoryClient struct {
	*client
	members []int
	cut     bool
}

func newMemorySite() *memorySite { return &memorySite{store: memory.New(), gone: map[int]bool{}} }

func (m *memorySite) client(_ *testing.T, members ...int) *client {
	if len(members) == 0 {
		members = []int{0, 1, 2}
	}
	mc := &memoryClient{client: &client{Store: fault.New(m.store)}, members: members}
	mc.close = func() { m.store.Close() }
	mc.pointAt = func(members ...int) {
		mc.members = members
		m.connect()
	}
	m.clients = append(m.clients, mc)
	m.connect()
	return mc.client
}

// connect cuts off the clients that can reach no member, and heals the others.
func (m *memorySite) connect() {
	for _, c := range m.clients {
		cut := true
		for _, member := range c.members {
			cut = cut && m.gone[member]
		}
		switch {
		case cut && !c.cut:
			c.Cut()
		case !cut && c.cut:
			c.Heal()
		}
		c.cut = cut
	}
}

func (m *memorySite) lose(member int) {
	m.gone[member] = true
	m.connect()
}

func (m *memorySite) stop(_ *testing.T, member int)      { m.lose(member) }
func (m *memorySite) partition(_ *testing.T, member int) { m.lose(member) }
func (m *memorySite) start(t *testing.T, _ int)          { m.heal(t) }

func (m *memorySite) heal(*testing.T) {
	clear(m.gone)
	m.connect()
}

func (m *memorySite) compact(t *testing.T) {
	must(t, m.store.Compact(t.Context(), putOthers(t, m.store)))
}

func (m *memorySite) backup(t *testing.T) (restore func()) {
	b := m.store.Backup()
	return func() { must(t, m.store.Restore(b)) }
}

// etcdSite is a cluster of etcd, real or in memory.
type etcdSite struct{ cluster etcdmem.AnyCluster }

func (e *etcdSite) client(t *testing.T, members ...int) *client {
	config := e.cluster.ClientConfig(members...)
	c, err := clientv3.New(config)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return &client{
		Store:   fault.New(etcd.New(c)),
		pointAt: func(members ...int) { c.SetEndpoints(e.cluster.Endpoints(members...)...) },
		close:   func() { c.Close() },
	}
}

func (e *etcdSite) stop(t *testing.T, member int) {
	e.cluster.Stop(member)
	e.waitLeader(t)
}

func (e *etcdSite) start(t *testing.T, member int) {
	must(t, e.cluster.Restart(t.Context(), member))
	e.waitLeader(t)
}

func (e *etcdSite) partition(t *testing.T, member int) {
	e.cluster.Partition(member)
	e.waitLeader(t)
}

func (e *etcdSite) heal(t *testing.T) {
	e.cluster.Heal()
	e.waitLeader(t)
}

func (e *etcdSite) waitLeader(t *testing.T) {
	_, err := e.cluster.WaitLeader(t.Context())
	must(t, err)
}

func (e *etcdSite) compact(t *testing.T) {
	majority := etcd.New(e.cluster.Client(1, 2))
	must(t, e.cluster.Compact(t.Context(), int64(putOthers(t, majority))))
}

func (e *etcdSite) backup(t *testing.T) (restore func()) {
	b, err := e.cluster.Backup(t.Context())
	must(t, err)
	return func() { must(t, e.cluster.Restore(t.Context(), b)) }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes through a client that the faults of the scenario do not affect.
func put(t *testing.T, w kv.Writer, key, val string) kv.Revision {
	t.Helper()
	rev, err := w.Put(t.Context(), key, []byte(val))
	must(t, err)
	return rev
}

// putOthers changes another key twice, because a watch after the first revision could still deliver the second.
func putOthers(t *testing.T, w kv.Writer) kv.Revision {
	put(t, w, "/other", "one")
	return put(t, w, "/other", "two")
}

// patience limits how long a failing scenario waits.
const patience = 20 * time.Second

func patiently(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
