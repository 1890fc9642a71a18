// Command endpoints shows services that register in etcd with leases, and a client that balances over the live instances.
//
//	go run ./examples/endpoints                              on an etcd cluster in memory
//	go run ./examples/endpoints -endpoints host:2379,...     on your own cluster
//
// It takes some seconds, because a lease has to expire. The parts to copy are separate packages: endpoint is what services and clients
// agree on, register is for services, balance is for clients, and mapresolver is for clients that use gRPC.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/examples/endpoints/balance"
	"github.com/watchkv/watchkv/examples/endpoints/endpoint"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func main() {
	endpoints := flag.String("endpoints", "", "the `addresses` of an etcd cluster, separated by commas, instead of one in memory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *endpoints); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, endpoints string) error {
	config := clientv3.Config{Endpoints: strings.Split(endpoints, ",")}
	if endpoints == "" {
		cluster, err := etcdmem.New(3)
		if err != nil {
			return err
		}
		defer cluster.Close()
		config = cluster.ClientConfig()
	}
	return tell(ctx, out, etcd.KeepAlive(config))
}

// tell runs the demonstration: instances of a service start and end, and requests go to the live instances.
func tell(ctx context.Context, out io.Writer, config clientv3.Config) error {
	client, err := clientv3.New(config)
	if err != nil {
		return err
	}
	defer client.Close()
	list, err := balance.Open(ctx, endpoint.NewMap(etcd.New(client), service))
	if err != nil {
		return err
	}
	defer list.Close()

	one, err := serve(ctx, config, "one")
	if err != nil {
		return err
	}
	defer one.end()
	two, err := serve(ctx, config, "two")
	if err != nil {
		return err
	}
	defer two.end()

	for _, step := range []struct {
		what string
		do   func()
		want int
	}{
		{"two instances have started", func() {}, 2},
		{"instance one has ended, and has said so", one.end, 1},
		{"instance two was killed; its lease expires in two seconds or three", two.kill, 0},
	} {
		fmt.Fprintln(out, step.what)
		step.do()
		if err := wait(ctx, list, step.want); err != nil {
			return err
		}
		answers, err := ask(ctx, list)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "    requests are answered by:", answers)
	}
	return nil
}

// wait waits until the list has n endpoints.
func wait(ctx context.Context, list *balance.List, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the list has been wrong for a minute"))
	defer cancel()
	return list.Wait(ctx, func(all []endpoint.Endpoint) bool { return len(all) == n })
}

// ask makes four requests, one after the other, and returns who has answered.
func ask(ctx context.Context, list *balance.List) (string, error) {
	var answers []string
	for range 4 {
		e, err := list.Pick()
		if errors.Is(err, balance.ErrNoEndpoint) {
			return "nobody", nil
		}
		answer, err := get(ctx, e.Addr)
		if err != nil {
			return "", err // a real program would try the next endpoint
		}
		answers = append(answers, answer)
	}
	return strings.Join(answers, ", "), nil
}
