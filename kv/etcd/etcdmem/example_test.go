package etcdmem_test

import (
	"context"
	"fmt"
	"log"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func Example() {
	cluster, err := etcdmem.New(3)
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	ctx := context.Background()

	client := cluster.Client() // etcd's own
	watch := client.Watch(ctx, "/app/", clientv3.WithPrefix(), clientv3.WithRev(1))
	if _, err := client.Put(ctx, "/app/limits", "10"); err != nil {
		log.Fatal(err)
	}
	for _, event := range (<-watch).Events {
		fmt.Println(event.Type, string(event.Kv.Key), string(event.Kv.Value), event.Kv.ModRevision)
	}

	leader, _ := cluster.Leader()
	cluster.Stop(leader)
	if _, err := cluster.WaitLeader(ctx); err != nil {
		log.Fatal(err)
	}
	if _, err := client.Put(ctx, "/app/limits", "20"); err != nil {
		log.Fatal(err)
	}
	for _, event := range (<-watch).Events {
		fmt.Println(event.Type, string(event.Kv.Key), string(event.Kv.Value), event.Kv.ModRevision)
	}
	// Output:
	// PUT /app/limits 10 2
	// PUT /app/limits 20 3
}
