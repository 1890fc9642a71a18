// Quickstart shows in a few seconds what a watched value does when everything goes wrong around it.
//
//	go run ./examples/quickstart                               on an etcd cluster of three members, started for it
//	go run ./examples/quickstart -memory                       on the store in memory, made to fail
//	go run ./examples/quickstart -endpoints host:2379,...      on your own cluster, which it does not break
//
// It exits with status 0 if every watcher ended at the newest value.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch err := run(ctx, os.Stdout, os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) (err error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	onMemory := flags.Bool("memory", false, "run on the store in memory instead of an etcd cluster")
	endpoints := flags.String("endpoints", "", "run on the etcd cluster at these `addresses`, separated by commas")
	timeout := flags.Duration("timeout", time.Minute, "give up after this long")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *onMemory && *endpoints != "" {
		return errors.New("want no arguments, and -memory or -endpoints but not both; -h lists the flags")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, *timeout, fmt.Errorf("not done within %v", *timeout))
	defer cancel()

	var p *place
	switch {
	case *onMemory:
		p = inMemory()
	case *endpoints != "":
		p, err = dial(ctx, strings.Split(*endpoints, ","))
	default:
		p, err = startCluster()
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	return tell(ctx, out, p)
}
