package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/watchkv/watchkv/internal/leaktest"
)

func TestAClientReachesTheMembersOverTCP(t *testing.T) {
	leaktest.Check(t)
	ctx, stop := context.WithCancel(t.Context())
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-listen", "127.0.0.1:0,127.0.0.1:0,127.0.0.1:0"}, out) }()
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addresses := strings.Split(strings.TrimPrefix(strings.TrimSpace(line), "serving "), ",")
	if len(addresses) != 3 {
		t.Fatalf("it says %q, want three addresses", line)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: addresses, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	put, err := client.Put(ctx, "/a", "1")
	if err != nil || put.Header.Revision != 2 {
		t.Errorf("a put is answered by %v, %v", put, err)
	}
	members, err := client.MemberList(ctx)
	if err != nil || len(members.Members) != 3 {
		t.Fatalf("the members are %v, %v", members, err)
	}
	for i, m := range members.Members {
		if want := "http://" + addresses[i]; m.ClientURLs[0] != want {
			t.Errorf("member %d has the address %s, want %s", i, m.ClientURLs[0], want)
		}
		status, err := client.Status(ctx, addresses[i])
		if err != nil || status.Header.MemberId != m.ID || status.Header.Revision != 2 {
			t.Errorf("the status at %s is %v, %v", addresses[i], status, err)
		}
	}
	client.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
