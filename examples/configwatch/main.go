// Configwatch is a program that applies its configuration, kept under one key in etcd, each time it changes:
//
//	go run ./examples/configwatch -endpoints localhost:2379
//	etcdctl put /app/limits '{"rps":10}'
//
// Most of its tests need no etcd and take no time: see follow_test.go.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/value"
)

func main() {
	endpoints := flag.String("endpoints", "localhost:2379", "the etcd cluster's `addresses`, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, strings.Split(*endpoints, ","), func(l Limits) {
		log.Printf("from now on %d requests a second", l.RPS)
	})
	if !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

// run is the only part of the program that knows etcd.
func run(ctx context.Context, endpoints []string, apply func(Limits)) error {
	client, err := clientv3.New(etcd.KeepAlive(clientv3.Config{Endpoints: endpoints}))
	if err != nil {
		return err
	}
	defer client.Close()

	limits := value.New(etcd.New(client), "/app/limits", value.JSON[Limits],
		value.WithDefault(Limits{RPS: 1}), // while the key does not exist
		value.WithLogger(slog.Default()))  // outages are not errors: they are logged
	return follow(ctx, limits, apply)
}
