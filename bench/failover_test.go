package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// From the death of the member that serves a watch, which does not lead, until an update is seen that the others take at once.
func BenchmarkMemberDies(b *testing.B) {
	const members = 3
	cluster := etcdtest.Start(b, members)
	for _, make := range []func(watch, write *clientv3.Client) system{
		func(watch, write *clientv3.Client) system { return onEtcd(watch, write) },
		byHand,
	} {
		watch := cluster.Client()
		s := make(watch, watch)
		b.Run("by="+s.by, func(b *testing.B) {
			c := gather(b, s, 1)
			var clients [members]*clientv3.Client // of all members but one
			for i := range clients {
				clients[i] = cluster.Client((i+1)%members, (i+2)%members)
				defer clients[i].Close()
			}
			for b.Loop() {
				b.StopTimer()
				victim := serving(b, cluster)
				leader, err := cluster.WaitLeader(b.Context())
				check(b.Context(), err)
				if leader == victim {
					check(b.Context(), cluster.MoveLeader(b.Context(), (victim+1)%members))
				}
				write := clients[victim]
				check(b.Context(), putTo(write)("/other")) // it is connected
				c.missing.Store(1)
				cluster.Stop(victim)
				b.StartTimer()
				check(b.Context(), putTo(write)(c.key))
				<-c.all
				b.StopTimer()
				check(b.Context(), cluster.Restart(b.Context(), victim))
				b.StartTimer()
			}
		})
		watch.Close()
	}
}

// serving returns the member that serves the one watch there is.
func serving(b *testing.B, cluster *etcdtest.Cluster) int {
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for {
		for i := range 3 {
			if cluster.Watchers(i) > 0 {
				return i
			}
		}
		if ctx.Err() != nil {
			panic(fmt.Sprint("no member serves a watch: ", ctx.Err()))
		}
		time.Sleep(time.Millisecond)
	}
}
