package etcdtest_test

import (
	"context"
	"fmt"
	"log"
	"testing"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func Example() {
	ctx := context.Background()
	cluster, err := etcdtest.New(3)
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()

	client := cluster.Client()
	if _, err := client.Put(ctx, "/app/limits", "10"); err != nil {
		log.Fatal(err)
	}

	cluster.Stop(0) // the other two members still work
	got, err := cluster.Client(1, 2).Get(ctx, "/app/limits")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s is %s\n", got.Kvs[0].Key, got.Kvs[0].Value)
	// Output: /app/limits is 10
}

func ExampleStart() {
	_ = func(t *testing.T) { // func TestApp(t *testing.T)
		cluster := etcdtest.Start(t, 3)
		client := cluster.Client()
		if _, err := client.Put(t.Context(), "/app/limits", "10"); err != nil {
			t.Fatal(err)
		}
	}
}
