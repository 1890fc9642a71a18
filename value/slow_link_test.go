package value_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/value"
)

// A slow link is no fault. These tests run like those of silent members: in virtual time, and with -real in real time.
func TestV11ASlowLinkIsNotAnOutage(t *testing.T) {
	for name, story := range map[string]func(t *testing.T, cluster etcdmem.AnyCluster){
		"many large values are current within 1.5 times what a bare client takes": manyLargeValues,
		"a read that takes eleven seconds is answered":                            slowRead(11 * time.Second),
		"a read that takes a minute is answered":                                  slowRead(time.Minute),
		"a check does not end a watch that works":                                 slowCheck,
	} {
		t.Run(name, func(t *testing.T) { inAWorld(t, story) })
	}
}

const slowPromise = "V11, a slow link is no outage"

// A hundred Values of 512 KiB, over 2 MiB a second, are compared with a bare client that does the same.
func manyLargeValues(t *testing.T, cluster etcdmem.AnyCluster) {
	const perSecond = 2 << 20
	l := &slowLink{count: 100, size: 512 << 10, writer: etcd.New(cluster.Client(1))}
	if testing.Short() {
		l.count = 10
	}
	l.put(t, "a")
	cluster.Network().Throttle(perSecond, 0)

	client := cluster.Client(0)
	first, update := l.byHand(t, client)
	t.Logf("a bare client has all after %v, and an update of all after %v", first, update)
	client.Close()
	must(t, cluster.WaitWatchers(patiently(t), 0, 0)) // so that the link is free of earlier responses
	l.put(t, "a")
	firstOfValues, updateOfValues := l.byValues(t, cluster.Client(0))
	t.Logf("Values have all after %v, and an update of all after %v", firstOfValues, updateOfValues)

	for _, d := range []struct {
		what       string
		took, bare time.Duration
	}{{"all values", firstOfValues, first}, {"an update of all", updateOfValues, update}} {
		most := d.bare * 3 / 2
		if *onRealMembers {
			most += 400 * time.Millisecond // allowed for a busy machine
		}
		if d.took > most {
			t.Errorf("\npromised: %s\nhappened: %s took %v, with a bare client %v; want at most %v", slowPromise, d.what, d.took, d.bare, most)
		}
	}
}

// No fixed limit may end a read that makes progress, and nothing may repeat it.
func slowRead(needs time.Duration) func(t *testing.T, cluster etcdmem.AnyCluster) {
	return func(t *testing.T, cluster etcdmem.AnyCluster) {
		l := &slowLink{count: 1, size: 1 << 20, writer: etcd.New(cluster.Client(1))}
		l.put(t, "a")
		cluster.Network().Throttle(l.size/int(needs/time.Second), 0)
		v := value.New(etcd.New(cluster.Client(0)), l.key(0), value.String)
		w := v.Watch()
		defer w.Close()
		began := time.Now()
		got, err := w.Get(t.Context())
		if took := time.Since(began); err != nil || got != l.text("a") || took > needs*3/2 {
			t.Errorf("\npromised: %s\nhappened: Get returned %d bytes and the error %v after %v; want %d bytes after %v; the status is %+v",
				slowPromise, len(got), err, took, l.size, needs, v.Status())
		}
		if err := v.Status().LastError; needs < 15*time.Second && err != nil { // a longer silence is reported, while the read goes on
			t.Errorf("\npromised: %s\nhappened: a read that made progress was cancelled: %v", slowPromise, err)
		}
	}
}

// A check of a silent watch needs no value. If it reads the value anyway, over a link on which that takes most of a minute, it must not
// end the watch.
func slowCheck(t *testing.T, cluster etcdmem.AnyCluster) {
	l := &slowLink{count: 1, size: 1 << 20, writer: etcd.New(cluster.Client(1))}
	l.put(t, "a")
	v := value.New(etcd.New(cluster.Client(0)), l.key(0), value.String, value.WithCheck(time.Second))
	w := v.Watch()
	defer w.Close()
	if _, err := w.Get(patiently(t)); err != nil {
		t.Fatal(err)
	}
	must(t, cluster.WaitWatchers(patiently(t), 0, 1))
	cluster.Network().Throttle(20_000, 0)
	throttled := time.Now()
	for ctx := patiently(t); v.Status().LastError == nil && !v.Status().Confirmed.After(throttled); {
		if ctx.Err() != nil {
			break // the check has succeeded
		}
		time.Sleep(10 * time.Millisecond) // Status is polled
	}
	put(t, l.writer, l.key(0), "small")
	if got, err := w.Get(patiently(t)); err != nil || got != "small" {
		t.Errorf("\npromised: %s\nhappened: Get returned %d bytes and the error %v; want a small update; the status is %+v",
			slowPromise, len(got), err, v.Status())
	}
	if err := v.Status().LastError; err != nil {
		t.Errorf("\npromised: %s, and a slow read alone does not end a watch that works\nhappened: the watch was ended: %v", slowPromise, err)
	}
}

// slowLink has some large values, and a writer with a fast connection.
type slowLink struct {
	count, size int
	writer      kv.Writer
}

func (l *slowLink) key(i int) string { return fmt.Sprint("/large/", i) }

func (l *slowLink) text(of string) string { return strings.Repeat(of, l.size) }

// put changes all values.
func (l *slowLink) put(t *testing.T, text string) {
	for i := range l.count {
		put(t, l.writer, l.key(i), l.text(text))
	}
}

// all calls f for each value concurrently, and returns how long they took.
func (l *slowLink) all(f func(i int)) time.Duration {
	began := time.Now()
	var running sync.WaitGroup
	for i := range l.count {
		running.Go(func() { f(i) })
	}
	running.Wait()
	return time.Since(began).Round(time.Millisecond)
}

// byHand reads and watches all values with etcd's client.
func (l *slowLink) byHand(t *testing.T, client *clientv3.Client) (first, update time.Duration) {
	ctx := t.Context()
	watches := make([]clientv3.WatchChan, l.count)
	first = l.all(func(i int) {
		got, err := client.Get(ctx, l.key(i))
		if err != nil || len(got.Kvs) != 1 {
			t.Errorf("the test itself: read: %v", err)
			return
		}
		watches[i] = client.Watch(ctx, l.key(i), clientv3.WithRev(got.Header.Revision+1))
	})
	l.put(t, "b")
	update = l.all(func(i int) {
		if resp := <-watches[i]; resp.Err() != nil || len(resp.Events) != 1 {
			t.Errorf("the test itself: watch: %d events and the error %v", len(resp.Events), resp.Err())
		}
	})
	return first, update
}

// byValues reads and watches all values with a Value each, and checks that no watch is ended.
func (l *slowLink) byValues(t *testing.T, client *clientv3.Client) (first, update time.Duration) {
	ctx := t.Context()
	store := etcd.New(client)
	values, watchers := make([]*value.Value[string], l.count), make([]*value.Watcher[string], l.count)
	for i := range l.count {
		values[i] = value.New(store, l.key(i), value.String)
		watchers[i] = values[i].Watch()
		defer watchers[i].Close()
	}
	wants := func(text string) func(i int) {
		return func(i int) {
			if got, err := watchers[i].Get(ctx); err != nil || got != l.text(text) {
				t.Errorf("\npromised: %s\nhappened: Get %d of %d returned %d bytes and the error %v; want all of %q; the status is %+v",
					slowPromise, i, l.count, len(got), err, text, values[i].Status())
			}
		}
	}
	first = l.all(wants("a"))
	l.put(t, "b")
	update = l.all(wants("b"))
	for i, v := range values {
		if err := v.Status().LastError; err != nil {
			t.Errorf("\npromised: %s\nhappened: value %d of %d ended a watch that works: %v", slowPromise, i, l.count, err)
		}
	}
	return first, update
}
