package etcd_test

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/value"
)

// A member that restarts with an empty data directory and its old name has its old identity, and begins at revision 1. There, etcd's client
// resumes its watch after a revision that the member has yet to reach. So etcd delivers nothing.
func TestAMemberThatHasLostItsDataIsAResetAndNotALostEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newCounting(t, 1)
		empty := m.backup()
		v := value.New(etcd.New(m.client(etcd.KeepAlive)), "k", value.Bytes)
		w := v.Watch(value.EveryUpdate())
		defer w.Close()
		for range 5 {
			m.put()
		}
		must(w.Get(t.Context()))(t)
		synctest.Wait()    // until the watch is open
		m.away.Store(true) // otherwise the Value might reconnect before the put
		m.restore(empty)
		m.put()
		m.away.Store(false)
		back := time.Now()
		_, err := w.Get(t.Context())
		if took := time.Since(back); took > 2*soon {
			t.Errorf("promised: a Value notices lost data within %v; it took %v", 2*soon, took)
		}
		if _, isGap := err.(*value.GapError); !isGap {
			t.Errorf("promised: a watcher for EveryUpdate gets a GapError when history was replaced; it got %v", err)
		}
		if s := v.Status(); s.Resets != 1 || s.Holes != 0 {
			t.Errorf("promised: lost data is a reset; Status has %d resets and %d holes", s.Resets, s.Holes)
		}
		must(w.Get(t.Context()))(t)
		if w.Revision() != 2 {
			t.Errorf("promised: Get returns what the store holds now, of revision 2; it returned revision %d", w.Revision())
		}
	})
}

// soon is the longest time between a client's reconnecting and the end of its watches, if the member has lost its data.
const soon = 5 * time.Second

// watching opens a watch in each of n Stores of client.
func watching(t *testing.T, ctx context.Context, client *clientv3.Client, n int) (ends []<-chan error) {
	for range n {
		ends = append(ends, idle(t, ctx, etcd.New(client)))
	}
	return ends
}

var errGoesOn = errors.New("the watch goes on")

// endIn lets d of virtual time pass, and returns the error that the watch has ended with, or errGoesOn.
func endIn(d time.Duration, end <-chan error) error {
	time.Sleep(d)
	synctest.Wait()
	select {
	case err := <-end:
		return err
	default:
		return errGoesOn
	}
}

func TestAMemberThatHasLostItsDataIsAResetOfEachWatchSoonAfterTheClientHasConnected(t *testing.T) {
	// Each start of the only member begins a new raft term.
	for name, test := range map[string]struct {
		before, after int // how many times the member restarts: before it has data, and after it has lost them
		than          int // the term after the loss compared with the term before
	}{
		"in an earlier term": {3, 0, -1},
		"in the same term":   {1, 0, 0},
		"in a later term":    {0, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newCounting(t, 1)
				start := m.backup()
				m.startAgain(test.after)
				empty := m.backup()
				m.restore(start)
				m.startAgain(test.before)
				for range 15 {
					m.put()
				}
				term := m.term()
				client := m.client(plain)
				connected(t.Context(), client)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ends := watching(t, ctx, client, 3)
				m.Stop()
				time.Sleep(time.Minute)
				m.restore(empty)
				ready(ctx, client)
				back := time.Now()
				for _, end := range ends {
					if err := endIn(soon, end); !errors.Is(err, kv.ErrReset) {
						t.Errorf("promised: every watch of a client ends with %v within %v after the client reconnects; after %v: %v", kv.ErrReset, soon, time.Since(back), err)
					}
				}
				if n := m.reads.Load(); n != 1 {
					t.Errorf("promised: the client makes one read to find out; it made %d", n)
				}
				if got := cmp.Compare(m.term(), term); got != test.than {
					t.Errorf("the test itself: the term was %d, and is now %d", term, m.term())
				}
			})
		})
	}
}

func TestAWatchCostsNoReadWhileConnectedAndOneAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newCounting(t, 1)
		client := m.client(etcd.KeepAlive)
		connected(t.Context(), client)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ends := watching(t, ctx, client, 10)
		time.Sleep(24 * time.Hour)
		if n := m.reads.Swap(0); n != 0 {
			t.Errorf("promised: an idle Store reads nothing; in a day it made %d reads", n)
		}
		for range 3 {
			m.Stop()
			time.Sleep(time.Minute)
			m.start()
			ready(ctx, client)
			time.Sleep(time.Hour)
			if n := m.reads.Swap(0); n != 1 {
				t.Errorf("promised: a client makes one read after an outage; it made %d", n)
			}
		}
		for _, end := range ends {
			if err := endIn(0, end); err != errGoesOn {
				t.Errorf("promised: a watch goes on after an outage; it ended with %v", err)
			}
		}
	})
}

// leaderless starts a cluster and a client that reaches only member 0, and opens a watch. Then it restores what backup returned, or the
// current state if that is nil. The client reconnects to member 0 after the other members have stopped, and before member 0 notices that.
func leaderless(t *testing.T, backup func(m *counting) *etcdmem.Backup) (m *counting, ended <-chan error, cancel func()) {
	m = newCounting(t, 3)
	b := backup(m)
	for range 15 {
		m.put()
	}
	if b == nil {
		b = m.backup()
	}
	client := m.client(etcd.KeepAlive, 0)
	connected(t.Context(), client)
	ctx, cancel := context.WithCancel(t.Context())
	ended = idle(t, ctx, etcd.New(client))
	m.Stop()
	m.Network().Swallow(0) // so that the client is trying to connect when the members come back
	m.restore(b)
	m.Stop(1, 2)
	m.Network().Mend(0)
	ready(ctx, client)
	return m, ended, cancel
}

// A cluster that comes back may take seconds to elect a leader.
func TestAMemberThatHasLostItsDataIsAResetOnceItHasALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, end, cancel := leaderless(t, (*counting).backup)
		defer cancel()
		time.Sleep(2 * time.Second)
		m.start()
		if err := endIn(2*soon, end); !errors.Is(err, kv.ErrReset) {
			t.Errorf("promised: the watch ends with %v once the member has a leader; %v later: %v", kv.ErrReset, 2*soon, err)
		}
	})
}

func TestTheReadsAfterAnOutageAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 3
		m, _, cancel := leaderless(t, func(*counting) *etcdmem.Backup { return nil })
		defer cancel()
		time.Sleep(time.Minute)
		if n := m.reads.Swap(0); n == 0 || n > most {
			t.Errorf("promised: an unanswered read is made 1 to %d times; it was made %d times", most, n)
		}
		time.Sleep(24 * time.Hour)
		if n := m.reads.Swap(0); n != 0 {
			t.Errorf("promised: after some seconds without an answer the client makes no more reads; it made %d", n)
		}
	})
}

func TestAStoreKnowsWhatAnotherStoreOfItsClientHasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newCounting(t, 1)
		empty := m.backup()
		m.put()
		client := m.client(plain)
		one, two := etcd.New(client), etcd.New(client)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		must(one.Get(ctx, kv.Key("k")))(t)
		m.restore(empty)
		if err := endIn(time.Hour, idle(t, ctx, two)); !errors.Is(err, kv.ErrReset) {
			t.Errorf("promised: a watch at a member that is not where another Store has read it ends with %v; it ended with %v", kv.ErrReset, err)
		}
		running := idle(t, ctx, two)
		m.put()
		must(one.Get(ctx, kv.Key("k")))(t)
		m.restore(empty)
		must(one.Get(ctx, kv.Key("k")))(t)
		if err := endIn(time.Hour, running); !errors.Is(err, kv.ErrReset) {
			t.Errorf("promised: a reset that another Store has read ends the watch with %v; it ended with %v", kv.ErrReset, err)
		}
	})
}

// A Store that only watches knows how far the cluster is, but not how far each member is.
func TestAWatchThatBeginsAtAMemberWhichIsBehindMakesOneRead(t *testing.T) {
	for name, test := range map[string]struct {
		answer int64
		reset  bool
	}{
		"the member has lost its data": {5, true},
		"the member lags behind":       {1000, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, reads := newScript(changed("k", 11)), 0 // its header is at 1000
				store := etcd.New(&fake{watch: s.watch, get: func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) {
					reads++
					time.Sleep(time.Second)
					return &clientv3.GetResponse{Header: header(test.answer)}, nil
				}})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				first := read(t, store.Watch(ctx, kv.Key("k"), 10))
				first.batch()
				first.stop()
				var ends []<-chan error
				for range 3 {
					s.say(headed(header(5), clientv3.WatchResponse{Created: true}))
					ends = append(ends, idle(t, ctx, store))
				}
				time.Sleep(time.Hour)
				for _, end := range ends {
					if err := endIn(0, end); test.reset != errors.Is(err, kv.ErrReset) || !test.reset && err != errGoesOn {
						t.Errorf("promised: if the member has lost its data the watch ends with %v, and otherwise it goes on; happened: %v", kv.ErrReset, err)
					}
				}
				if reads != 1 {
					t.Errorf("promised: watches that begin concurrently share one read to find out whether the member lags behind; %d reads were made", reads)
				}
			})
		})
	}
}

// Here a real client resumes the watches by itself.
func TestAClusterRestoredToAnOlderStateIsAResetWithoutARead(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		client := cluster.Client()
		writer, other := etcd.New(client), etcd.New(client)
		rev := must(writer.Put(ctx, "k", nil))(t)
		backup := must(cluster.Backup(ctx))(t)
		ends := make(chan error, 2)
		for _, store := range []*etcd.Store{writer, other} {
			begun := make(chan struct{})
			r := read(t, store.WatchAcknowledged(ctx, kv.Key("other"), rev, func() { close(begun) }))
			go func() {
				_, err, _ := r.pull()
				ends <- err
			}()
			<-begun
		}
		for range 3 {
			must(writer.Put(ctx, "k", nil))(t)
		}
		if err := cluster.Restore(ctx, backup); err != nil {
			t.Fatal(err)
		}
		ready(ctx, client)
		back := time.Now()
		for range 2 {
			if err := <-ends; !errors.Is(err, kv.ErrReset) || time.Since(back) > 2*soon { // on a busy machine
				t.Errorf("promised: every watch ends with %v within %v after its client reconnects; it ended with %v after %v", kv.ErrReset, soon, err, time.Since(back))
			}
		}
	})
}
