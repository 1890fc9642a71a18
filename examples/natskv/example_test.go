package natskv_test

import (
	"context"
	"fmt"
	"log"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/examples/natskv"
	"github.com/watchkv/watchkv/value"
)

func Example() {
	nc, err := nats.Connect(nats.DefaultURL, nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	store, err := natskv.Create(ctx, js, natskv.Config{Bucket: "app"})
	if err != nil {
		log.Fatal(err)
	}
	w := value.New(store, "/app/motd", value.String).Watch()
	defer w.Close()
	for {
		motd, err := w.Get(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(motd)
	}
}
