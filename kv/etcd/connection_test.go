package etcd_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/connectivity"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/value"
)

// outages are how long a member is away: a quick restart first, then slower ones.
var outages = []time.Duration{time.Second, 5 * time.Second, 20 * time.Second, time.Minute, 3 * time.Minute, 10 * time.Minute, time.Second}

func plain(c clientv3.Config) clientv3.Config { return c }

// connected waits until the client has a connection.
func connected(ctx context.Context, client *clientv3.Client) {
	conn := client.ActiveConnection()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		conn.Connect()
		conn.WaitForStateChange(ctx, state)
	}
}

// etcd's client resumes a watch only when gRPC has connected.
func TestAClientMadeWithKeepAliveConnectsSoonAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 7 * time.Second
		m := newCounting(t, 1)
		client, bare := m.client(etcd.KeepAlive), m.client(plain)
		connected(t.Context(), client)
		connected(t.Context(), bare)
		for _, outage := range outages {
			m.Stop()
			time.Sleep(outage)
			m.start()
			back := time.Now()
			connected(t.Context(), client)
			took := time.Since(back)
			connected(t.Context(), bare)
			t.Logf("after an outage of %v, a client with KeepAlive connects in %v, a client with the defaults in %v", outage, took, time.Since(back))
			if took > bound {
				t.Errorf("promised: a client connects within %v after the end of an outage; after an outage of %v it took %v", bound, outage, took)
			}
		}
	})
}

// ready waits until the client has a connection. Unlike connected, it does not ask the client to connect.
func ready(ctx context.Context, client *clientv3.Client) {
	conn := client.ActiveConnection()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		conn.WaitForStateChange(ctx, state)
	}
}

// A client with a watch needs neither KeepAlive nor a read for that.
func TestAClientWithAWatchConnectsSoonAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 7 * time.Second
		m := newCounting(t, 1)
		client, bare := m.client(plain), m.client(plain)
		connected(t.Context(), bare)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		idle(t, ctx, etcd.New(client))
		for _, outage := range outages {
			m.Stop()
			time.Sleep(outage)
			m.start()
			back := time.Now()
			ready(ctx, client)
			took := time.Since(back)
			ready(ctx, bare)
			t.Logf("after an outage of %v, a client with a watch connects in %v, a client without in %v", outage, took, time.Since(back))
			if took > bound {
				t.Errorf("promised: a client with a watch connects within %v after the end of an outage; after an outage of %v it took %v", bound, outage, took)
			}
		}
	})
}

// attempts returns how many times a client tries to connect during an outage of ten minutes.
func attempts(m *counting) int64 {
	m.Stop()
	before := m.dials.Load()
	time.Sleep(10 * time.Minute)
	return m.dials.Load() - before
}

func TestNothingObservesTheConnectionOfAClientWithoutAWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newCounting(t, 1)
		client := m.client(plain)
		connected(t.Context(), client)
		bare := attempts(m)
		m.start()
		connected(t.Context(), client)

		ctx, cancel := context.WithCancel(t.Context())
		var ends []<-chan error
		for range 3 {
			ends = append(ends, idle(t, ctx, etcd.New(client)))
		}
		with := attempts(m)
		cancel()
		for _, end := range ends {
			<-end
		}
		m.start()
		connected(t.Context(), client)
		if after := attempts(m); with < 3*bare || after > 2*bare {
			t.Errorf("promised: only a client with a watch tries to connect more often than gRPC does by itself; without a watch it tried %d times, with watches %d, after them %d",
				bare, with, after)
		}
	})
}

func TestAReadIsBackSoonAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newCounting(t, 1)
		store := etcd.New(m.client(plain))
		must(store.Get(t.Context(), kv.Key("k")))(t)
		for _, outage := range outages {
			m.Stop()
			for end := time.Now().Add(outage); time.Now().Before(end); time.Sleep(10 * time.Second) {
				if _, err := store.Get(t.Context(), kv.Key("k")); err == nil {
					t.Fatal("the test itself: a stopped member answered a read")
				}
			}
			m.start()
			back := time.Now()
			if _, err := store.Get(t.Context(), kv.Key("k")); err != nil {
				t.Errorf("promised: the first read after an outage of %v is answered; it failed after %v: %v", outage, time.Since(back), err)
			}
		}
	})
}

func TestAValueIsCurrentSoonAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, more = 10 * time.Second, 5 * time.Second
		m := newCounting(t, 1)
		v := value.New(etcd.New(m.client(plain)), "k", value.Bytes, value.WithRetry(50*time.Millisecond, most))
		w := v.Watch()
		defer w.Close()
		m.put()
		must(w.Get(t.Context()))(t)
		for _, outage := range outages {
			m.Stop()
			time.Sleep(outage)
			m.start()
			back := time.Now()
			rev := m.put()
			must(w.Get(t.Context(), value.AtLeast[[]byte](rev)))(t)
			if took := time.Since(back); took > most+more {
				t.Errorf("promised: a Value is current within %v after the end of an outage; after an outage of %v it took %v", most+more, outage, took)
			}
		}
	})
}

// A server that comes back gets the attempts of all its clients at once.
func TestAnOutageCausesNoStormOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newCounting(t, 1)
		client := m.client(plain)
		for range 100 {
			idle(t, t.Context(), etcd.New(client))
		}
		connected(t.Context(), client)
		m.Stop()
		before, began := m.dials.Load(), time.Now()
		for range 30 {
			for range 100 {
				etcd.New(client).Get(t.Context(), kv.Key("k"))
			}
			time.Sleep(time.Minute)
		}
		if n, most := m.dials.Load()-before, int64(time.Since(began)/time.Second); n > most {
			t.Errorf("promised: a client tries to connect at most once a second; in %d s it tried %d times", most, n)
		}
	})
}
