package bench

import (
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/value"
)

// crowds are how many watchers one key has.
var crowds = []int{1, 10, 100, 1000, 10_000}

// From a put into a store in memory until each watcher of the key has got it.
func BenchmarkWakeInMemory(b *testing.B) {
	for _, n := range crowds {
		wake(b, n,
			onMemory(),
			channel(),
			following(newStateDB()),
			following(newMemDB()),
		)
	}
}

// The same where each watcher is to get every update.
func BenchmarkWakeEveryInMemory(b *testing.B) {
	for _, n := range crowds {
		wake(b, n, onMemory(value.EveryUpdate()), channel())
	}
}

// From a put into etcd, of one member, until each watcher of the key has got it.
func BenchmarkWakeOnEtcd(b *testing.B) {
	cluster := etcdtest.Start(b, 1)
	watch, write := cluster.Client(), cluster.Client()
	for _, n := range crowds {
		wake(b, n,
			onEtcd(watch, write),
			byHand(watch, write),
		)
	}
}

// wake measures rounds of n followers of each of the systems. With many followers, one system is measured after the other, so that
// the goroutines and the garbage of one do not affect another.
func wake(b *testing.B, n int, systems ...system) {
	name := fmt.Sprintf("watchers=%d", n)
	follow := func(b *testing.B, s system) contender { return contender{by: s.by, once: gather(b, s, n).round} }
	if n >= 1000 {
		for _, s := range systems {
			b.Run(name+"/by="+s.by, func(b *testing.B) {
				c := follow(b, s)
				c.report(b, c.alone(b))
			})
		}
		return
	}
	inTurns(b, name, func(b *testing.B) (cs []contender) {
		for _, s := range systems {
			cs = append(cs, follow(b, s))
		}
		return cs
	})
}
