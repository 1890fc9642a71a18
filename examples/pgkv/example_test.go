package pgkv_test

import (
	"context"
	"fmt"
	"log"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/watchkv/watchkv/examples/pgkv"
	"github.com/watchkv/watchkv/value"
)

func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://app@db/app?target_session_attrs=read-write")
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if err := pgkv.Migrate(ctx, pool, pgkv.Config{}); err != nil {
		log.Fatal(err)
	}
	store, err := pgkv.Open(ctx, pool, pgkv.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
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
