package etcd_test

import (
	"context"
	"fmt"
	"log"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// Reads a key and then follows it. The cluster of this example runs in its own process; yours has addresses to
// give to clientv3.New.
func Example() {
	cluster, err := etcdtest.New(1)
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	client := cluster.Client()
	defer client.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	store := etcd.New(client)

	if _, err := store.Put(ctx, "/app/limits", []byte("10")); err != nil {
		log.Fatal(err)
	}
	now, err := store.Get(ctx, kv.Key("/app/limits"))
	if err != nil {
		log.Fatal(err)
	}
	entry := now.Entries[0]
	fmt.Printf("it is %s\n", entry.Value)

	// It is changed only if no other writer has changed it since. A condition is about the key, so it names the key's revision.
	if _, err := store.Put(ctx, "/app/limits", []byte("20"), kv.IfRevision(entry.ModRevision)); err != nil {
		log.Fatal(err)
	}
	if _, err := store.Delete(ctx, "/app/limits"); err != nil {
		log.Fatal(err)
	}
	// What happens before the watch begins is not missed: it begins after the store's revision that was read.
	for batch, err := range store.Watch(ctx, kv.Key("/app/limits"), now.Revision) {
		if err != nil {
			log.Fatal(err)
		}
		for _, event := range batch.Events {
			fmt.Println(event.Type, string(event.Value))
			if event.Type == kv.EventDelete {
				return
			}
		}
	}
	// Output:
	// it is 10
	// put 20
	// delete
}
