package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func TestTheOutputOfTheProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		began := time.Now()
		if err := run(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		const want = `the first program leads; jobs done: 1 <nil>
the member of etcd that it is connected to freezes
the second program leads; jobs done: 2 <nil>
the first program has noticed that its term ended
the member continues; the waiting job of the first program fails: another program may lead by now
`
		if got := out.String(); got != want {
			t.Errorf("the program printed\n%s\nwant\n%s", got, want)
		}
		if took := time.Since(began); took < ttl*2/3 || took > 2*ttl {
			t.Errorf("it took %v; another program leads after %v", took, ttl)
		}
	})
}

// A frozen member does not end a term whose lease is long enough: keep-alive detects the member within 15 s.
func TestATermSurvivesAFrozenMember(t *testing.T) {
	for frozen := range 3 {
		t.Run(fmt.Sprint("member ", frozen), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := etcdmem.Start(t, 3)
				config := etcd.KeepAlive(clientv3.Config{Endpoints: cluster.Endpoints(), Logger: zap.NewNop()})
				config.DialOptions = append(config.DialOptions, cluster.DialOptions()...)
				client, err := clientv3.New(config)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				ctx, stop := context.WithCancel(t.Context())
				terms, ended := make(chan term, 10), make(chan error, 1)
				go func() {
					ended <- Lead(ctx, client, "one", time.Minute, func(ctx context.Context, t *Term) {
						terms <- term{t, ctx}
						<-ctx.Done()
					})
				}()
				leading := <-terms
				time.Sleep(time.Second) // etcd's client gives up a lease after 5 s if it was never kept alive
				cluster.Freeze(frozen)
				time.Sleep(10 * time.Minute)
				r, err := cluster.Client((frozen+1)%3).Get(t.Context(), leading.election.Key())
				if err != nil || len(r.Kvs) != 1 || leading.ctx.Err() != nil {
					t.Errorf("ten minutes later, etcd has %v, %v as the leader, and the error of its term is %v; want that it still leads", r, err, leading.ctx.Err())
				}
				stop()
				<-ended
			})
		})
	}
}
