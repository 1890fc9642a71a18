// Command etcdmem runs an etcd cluster in memory, which clients reach over TCP: etcdctl, and programs in any language.
//
//	go run github.com/watchkv/watchkv/cmd/etcdmem -listen 127.0.0.1:2379
//	etcdctl put /app/limits 10
//
// It has as many members as it is given addresses. All data is gone when it ends. It does not encrypt, and asks for no
// user until auth is enabled as on etcd: it is for tests and for a developer's machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("etcdmem", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:2379", "the addresses of the members, separated by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	addresses := strings.Split(*listen, ",")
	cluster, err := etcdmem.New(len(addresses), etcdmem.WithListen(addresses...))
	if err != nil {
		return err
	}
	defer cluster.Close()
	fmt.Fprintln(out, "serving", strings.Join(cluster.Addresses(), ","))
	<-ctx.Done()
	return nil
}
