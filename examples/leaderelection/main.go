// Command leaderelection shows etcd's package concurrency on etcd in memory: two programs of which one leads, and what happens when the
// member of etcd freezes to which the leader is connected. It takes some seconds. Its tests tell the same story in a bubble, and take
// none.
//
//	go run ./examples/leaderelection
//
// Copy lead.go: a session, an election, a mutex, and a transaction that is done only while the program leads.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// ttl is how long a leader may be silent before another program leads.
const ttl = 3 * time.Second

func run(ctx context.Context, out io.Writer) error {
	cluster, err := etcdmem.New(3)
	if err != nil {
		return err
	}
	defer cluster.Close()
	if err := cluster.MoveLeader(ctx, 2); err != nil { // so that etcd itself needs no election here
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()

	// program starts one, and returns its terms.
	program := func(client *clientv3.Client, name string) <-chan term {
		terms := make(chan term)
		running.Go(func() {
			Lead(ctx, client, name, ttl, func(ctx context.Context, t *Term) {
				terms <- term{t, ctx}
				<-ctx.Done()
			})
		})
		return terms
	}
	first := <-program(cluster.Client(0), "first")
	second := program(cluster.Client(1, 2), "second")
	done, err := first.Do(ctx, "a")
	fmt.Fprintln(out, "the first program leads; jobs done:", done, err)

	cluster.Freeze(0)
	late := make(chan error)
	go func() { // the first program does not know yet
		_, err := first.Do(ctx, "b")
		late <- err
	}()
	fmt.Fprintln(out, "the member of etcd freezes that it is connected to")

	next := <-second
	done, err = next.Do(ctx, "c")
	fmt.Fprintln(out, "the second program leads; jobs done:", done, err)
	<-first.ctx.Done()
	fmt.Fprintln(out, "the first program has noticed")

	cluster.Thaw(0)
	fmt.Fprintln(out, "the member goes on, and with it a job of the first program:", <-late)
	return nil
}

// A term is a [Term] of one of the programs, with its context.
type term struct {
	*Term
	ctx context.Context
}
