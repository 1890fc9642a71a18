package etcdmem_test

import (
	"context"
	"fmt"
	"iter"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// onAll runs a benchmark on etcd in memory, on a real member in this process that does not flush its files, and on the floor.
func onAll(b *testing.B, run func(b *testing.B, client *clientv3.Client)) {
	b.Run("memory", func(b *testing.B) { run(b, etcdmem.Start(b, 1).Client()) })
	b.Run("etcd", func(b *testing.B) { run(b, etcdtest.Start(b, 1).Client()) })
	b.Run("floor", func(b *testing.B) { run(b, floor(b)) })
}

// loop is b.Loop, but it also reports the processor time. If other programs run concurrently, that says more than the clock.
func loop(b *testing.B) iter.Seq[int] {
	return func(yield func(int) bool) {
		var began time.Duration
		for i := 0; b.Loop(); i++ {
			if i == 0 {
				began = processorTime()
			}
			if !yield(i) {
				return
			}
		}
		b.ReportMetric(float64(processorTime()-began)/float64(b.N), "cpu-ns/op")
	}
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkPut(b *testing.B) {
	onAll(b, func(b *testing.B, client *clientv3.Client) {
		b.ReportAllocs()
		for i := range loop(b) {
			if _, err := client.Put(b.Context(), fmt.Sprint("/app/", i%1000), "value"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	onAll(b, func(b *testing.B, client *clientv3.Client) {
		b.ReportAllocs()
		for range loop(b) {
			if _, err := client.Get(b.Context(), "/app/limits"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPutToWatch(b *testing.B) {
	for _, watches := range []int{1, 1000} {
		b.Run(fmt.Sprint(watches), func(b *testing.B) {
			onAll(b, func(b *testing.B, client *clientv3.Client) {
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				chans := make([]clientv3.WatchChan, watches)
				for i := range chans {
					chans[i] = client.Watch(ctx, "/app/limits", clientv3.WithCreatedNotify())
					<-chans[i]
				}
				for range loop(b) {
					if _, err := client.Put(ctx, "/app/limits", "value"); err != nil {
						b.Fatal(err)
					}
					for _, ch := range chans {
						<-ch
					}
				}
			})
		})
	}
}

// BenchmarkBubble starts a cluster of three members with a client in a bubble, puts a key, and ends the bubble.
func BenchmarkBubble(b *testing.B) {
	for range loop(b) {
		synctest.Test(new(testing.T), func(*testing.T) {
			cluster, err := etcdmem.New(3)
			if err != nil {
				b.Fatal(err)
			}
			defer cluster.Close()
			if _, err := cluster.Client().Put(context.Background(), "/app/limits", "value"); err != nil {
				b.Error(err)
			}
		})
	}
}
