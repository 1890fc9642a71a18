// Command settings is a program whose configuration is kept in several keys, and can be edited over HTTP.
//
//	go run ./examples/settings                                   a short demonstration, on the store in memory
//	go run ./examples/settings -listen localhost:8080            serves, on the store in memory
//	go run ./examples/settings -listen localhost:8080 -endpoints host:2379,... -lastknown /var/lib/settings
//
//	curl -i localhost:8080/settings
//	curl -i -X PUT -H 'If-Match: "0-0"' -d '{"greeting":"Hello","perUser":5,"total":100}' localhost:8080/settings
//	curl -i -X PUT -d true localhost:8080/settings/features/search
//	curl -i localhost:8080/ready
//
// Config.go says what the configuration is, program.go works with it, and editor.go changes it. settings_test.go tests all of it
// on the store in memory, through outages and lost answers, in no time.
package main

import (
	"context"
	"flag"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
	"github.com/watchkv/watchkv/value/lastknown"
)

func main() {
	listen := flag.String("listen", "", "serve at this `address` instead of showing the demonstration")
	endpoints := flag.String("endpoints", "", "the `addresses` of an etcd cluster, separated by commas, instead of the store in memory")
	dir := flag.String("lastknown", "", "keep the last good configuration in this `directory`, for a start without the store")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *listen, *endpoints, *dir); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, listen, endpoints, dir string) error {
	if listen == "" {
		return demonstrate(ctx, out)
	}
	var s store = memory.New()
	if endpoints != "" {
		client, err := clientv3.New(etcd.KeepAlive(clientv3.Config{Endpoints: strings.Split(endpoints, ",")}))
		if err != nil {
			return err
		}
		defer client.Close()
		s = etcd.New(client)
	}
	var known value.LastKnown
	if dir != "" {
		known = lastknown.Of(lastknown.NewDir(dir), []byte(endpoints)) // another cluster has another configuration
	}
	p, end := newProgram(s, known, slog.Default())
	defer end()
	return serve(ctx, listen, handler(p, s))
}
