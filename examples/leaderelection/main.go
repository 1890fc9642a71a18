// Command leaderelection shows etcd's package concurrency on etcd in memory. Two programs compete, and one of them leads. Then the member of
// etcd that the leader is connected to freezes. The command takes some seconds. Its test runs the same steps in a bubble, in no time.
//
//	go run ./examples/leaderelection
//
// Copy lead.go. It has a session, an election, a mutex, and a transaction that succeeds only while the program leads.
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
	if err := cluster.MoveLeader(ctx, 2); err != nil { // so that the frozen member is not the leader of etcd
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()

	// program starts a program and returns its terms.
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
	go func() { // this job waits for the frozen member
		_, err := first.Do(ctx, "b")
		late <- err
	}()
	fmt.Fprintln(out, "the member of etcd that it is connected to freezes")

	next := <-second
	done, err = next.Do(ctx, "c")
	fmt.Fprintln(out, "the second program leads; jobs done:", done, err)
	<-first.ctx.Done()
	fmt.Fprintln(out, "the first program has noticed that its term ended")

	cluster.Thaw(0)
	fmt.Fprintln(out, "the member continues; the waiting job of the first program fails:", <-late)
	return nil
}

// A term is a [Term] with its context.
type term struct {
	*Term
	ctx context.Context
}
