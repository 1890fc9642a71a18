package fault_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// A network goes away and comes back. The watch is silent in between, and loses nothing.
func ExampleStore_Cut() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cluster := memory.New()
	store := fault.New(cluster) // the store that the program under test gets

	var program sync.WaitGroup
	program.Go(func() {
		for batch, err := range store.Watch(ctx, kv.Key("/color"), 1) {
			if err != nil {
				return
			}
			for _, event := range batch.Events {
				fmt.Printf("seen: %s\n", event.Value)
			}
		}
	})
	put := func(value string) {
		if _, err := cluster.Put(ctx, "/color", []byte(value)); err != nil {
			panic(err)
		}
	}

	put("red")
	store.Wait(ctx, func(c fault.Counts) bool { return c.Batches == 1 })

	store.Cut()
	store.Wait(ctx, func(c fault.Counts) bool { return c.Blocked == 1 })
	put("green")
	put("blue")
	fmt.Println("cut off:", store.Counts().Batches, "batch so far")

	store.Heal()
	store.Wait(ctx, func(c fault.Counts) bool { return c.Events == 3 })
	cancel()
	program.Wait()
	// Output:
	// seen: red
	// cut off: 1 batch so far
	// seen: green
	// seen: blue
}

// The moment between a read and a watch lasts as long as the test needs. A program that watches after the revision of its
// read misses nothing.
func ExampleStore_Hold() {
	ctx := context.Background()
	store := fault.New(memory.New())

	hold := store.Hold(fault.Watches, fault.On(kv.Key("/color")))
	seen := make(chan string)
	go func() {
		snapshot, err := store.Get(ctx, kv.Key("/color"))
		if err != nil {
			panic(err)
		}
		seen <- fmt.Sprintf("read %d entries", len(snapshot.Entries))
		for batch := range store.Watch(ctx, kv.Key("/color"), snapshot.Revision) {
			seen <- "then saw " + string(batch.Events[0].Value)
			return
		}
	}()
	fmt.Println(<-seen)

	hold.Wait(ctx) // the program has read, and is about to watch
	if _, err := store.Put(ctx, "/color", []byte("red")); err != nil {
		panic(err)
	}
	hold.Release()
	fmt.Println(<-seen)
	// Output:
	// read 0 entries
	// then saw red
}

// A rule consists of an effect and the calls to which it applies. It can be printed.
func ExampleStore_Fail() {
	ctx := context.Background()
	store := fault.New(memory.New())
	store.Fail(1, kv.ErrUnavailable, fault.Puts, fault.On(kv.Prefix("/app/")), fault.Answered)
	fmt.Println(store)

	// The acknowledgement is lost, not the write.
	_, err := store.Put(ctx, "/app/color", []byte("red"))
	fmt.Println(err)
	entry, err := kv.GetKey(ctx, store, "/app/color")
	fmt.Printf("%s %v\n", entry.Value, err)
	// Output:
	// kv/fault:
	// 	fail the next 1: put on "/app/"* answered (unavailable)
	// kv/fault: put "/app/color": unavailable
	// red <nil>
}
