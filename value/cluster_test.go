package value_test

import (
	"errors"
	"flag"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/value"
)

// V12, checked by the number of watches that the server serves.
func TestV12TenThousandWatchersShareOneWatchOfTheServer(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1)
	store := etcd.New(cluster.Client())
	put(t, store, key, "one")
	v := value.New(store, key, value.String)
	watchers := make([]*value.Watcher[string], 10_000)
	for i := range watchers {
		watchers[i] = v.Watch()
		defer watchers[i].Close()
	}
	everyone := func(want string) {
		var wrong atomic.Int64
		var reading sync.WaitGroup
		for _, w := range watchers {
			reading.Go(func() {
				if got, err := w.Get(patiently(t)); err != nil || got != want {
					wrong.Add(1)
				}
			})
		}
		reading.Wait()
		if n := wrong.Load(); n > 0 {
			t.Errorf("%d of %d watchers did not get %q", n, len(watchers), want)
		}
	}
	everyone("one")
	must(t, cluster.WaitWatchers(patiently(t), 0, 1)) // the watchers got the value from a read; the watch begins after it
	put(t, store, key, "two")
	everyone("two")
	if n := cluster.Watchers(0); n != 1 {
		t.Errorf("after an update, %d watches to the server; want 1", n)
	}
	for _, w := range watchers {
		w.Close()
	}
	must(t, cluster.WaitWatchers(patiently(t), 0, 0))
}

var arriving = flag.Int("arriving", 10_000, "how many updates arrive while the readers of TestV4ReaderThatStopsHoldsBoundedHeap do not read")

// V3, V4 and W11, including everything between the server and a Get. The long form is -arriving 100000.
func TestV4ReaderThatStopsHoldsBoundedHeap(t *testing.T) {
	leaktest.Check(t)
	const size = 1 << 10
	updates, before := *arriving, 10_000
	cluster := etcdtest.Start(t, 1)
	writer, store := etcd.New(cluster.Client()), etcd.New(cluster.Client())
	put(t, writer, key, "first")
	v := value.New(store, key, value.String)
	newest, every := v.Watch(), v.Watch(value.EveryUpdate())
	defer newest.Close()
	defer every.Close()
	for _, w := range []*value.Watcher[string]{newest, every} {
		if got, err := w.Get(patiently(t)); err != nil || got != "first" {
			t.Fatal(got, err)
		}
	}
	write := func(key string, n int) kv.Revision {
		var last atomic.Int64
		var writing sync.WaitGroup
		for range 16 {
			writing.Go(func() {
				for range n / 16 {
					rev, err := writer.Put(t.Context(), key, []byte(strings.Repeat("x", size)))
					if err != nil {
						t.Error(err)
						return
					}
					for was := last.Load(); int64(rev) > was && !last.CompareAndSwap(was, int64(rev)); {
						was = last.Load()
					}
				}
			})
		}
		writing.Wait()
		return kv.Revision(last.Load())
	}
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	// The server is in this process too. These writes fill the memory that it keeps for its newest writes, before the measurement.
	revision := write("/other", before)
	holding := held()
	last := write(key, updates)
	if _, err := newest.Get(patiently(t), value.AtLeast[string](last)); err != nil {
		t.Fatal(err)
	}
	grown := held() - holding
	t.Logf("while no watcher read %d updates of %d bytes, %d MiB in all, the heap of client and server grew by %.1f MiB",
		updates, size, updates*size>>20, float64(grown)/(1<<20))
	if grown > int64(updates*size/2) {
		t.Errorf("W11: a watcher that does not read holds %d bytes; want a bound far below the %d bytes it was sent", grown, updates*size)
	}
	if newest.Revision() != last {
		t.Errorf("V3: the reader of the newest got revision %d; want %d", newest.Revision(), last)
	}
	for i := range updates {
		if _, err := every.Get(patiently(t)); err != nil {
			t.Fatalf("V4: update %d of %d: %v", i, updates, err)
		}
		if revision++; every.Revision() != revision {
			t.Fatalf("V4: update %d is of revision %d; want %d, because nothing else was written", i, every.Revision(), revision)
		}
	}
	if _, err := every.TryGet(); !errors.Is(err, value.ErrNothingNew) {
		t.Errorf("V4: after the last update, Get must wait; it returned the error %v", err)
	}
}
