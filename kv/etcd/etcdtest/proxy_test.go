package etcdtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestStoppedMemberBehindAProxy(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1, etcdtest.WithProxies())
	endpoints := fmt.Sprint(cluster.Endpoints())
	client := cluster.Client()
	put(t, client, "key", "value")
	members := must(client.MemberList(bounded(t)))(t)
	if got := fmt.Sprint(members.Members[0].ClientURLs); got != endpoints {
		t.Errorf("the member tells clients to connect to %s, want %s", got, endpoints)
	}
	cluster.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	if got, err := client.Get(ctx, "key"); err == nil {
		t.Errorf("a stopped member answered: %v", got)
	}
	check(t, cluster.Restart(bounded(t)))
	wantValue(t, client, "key", "value")
	if got := fmt.Sprint(cluster.Endpoints()); got != endpoints {
		t.Errorf("the endpoints were %s, and are now %s", endpoints, got)
	}
}

// The network's faults also apply to a connection that no etcd client made.
func TestProxyBreaksConnectionsAsTheNetworkDoes(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1, etcdtest.WithProxies())
	address := strings.TrimPrefix(cluster.Endpoints()[0], "http://")
	connect := func() (net.Conn, error) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { conn.Close() })
		check(t, conn.SetDeadline(time.Now().Add(within)))
		// An HTTP/2 client sends this first, and the server answers it.
		_, err = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
		return conn, err
	}
	conn := must(connect())(t)
	must(conn.Read(make([]byte, 1)))(t)
	cluster.Network().Reset()
	if n, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after %d bytes a connection ended with %v, want %v", n, err, syscall.ECONNRESET)
	}

	cluster.Network().Refuse()
	conn, err := connect()
	if err == nil { // the reset may come a little later
		_, err = io.Copy(io.Discard, conn)
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a refused connection ended with %v, want %v", err, syscall.ECONNRESET)
	}
	cluster.Network().Mend()

	cluster.Network().Swallow()
	conn = must(connect())(t)
	silent(t, conn)
	cluster.Network().Mend()
	check(t, conn.SetDeadline(time.Now().Add(within)))
	must(conn.Read(make([]byte, 1)))(t)
}
