package etcdmem_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// leaveUnseen is a server that says it has seen no stream when it gets the first one, as one that stops may.
func leaveUnseen(conn net.Conn) error {
	const headers, settings, goAway = 1, 4, 7
	send := func(kind byte, payload ...byte) error {
		_, err := conn.Write(append([]byte{0, 0, byte(len(payload)), kind, 0, 0, 0, 0, 0}, payload...))
		return err
	}
	if _, err := io.CopyN(io.Discard, conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return err
	}
	if err := send(settings); err != nil {
		return err
	}
	for {
		var frame [9]byte
		if _, err := io.ReadFull(conn, frame[:]); err != nil {
			return err
		}
		length := binary.BigEndian.Uint32(append([]byte{0}, frame[:3]...))
		if _, err := io.CopyN(io.Discard, conn, int64(length)); err != nil {
			return err
		}
		if frame[3] == headers {
			go send(goAway, 0, 0, 0, 0, 0, 0, 0, 0) // no stream up to the zeroth was seen, and there is no error
		}
	}
}

// If gRPC opened the stream of a watch again, it would hold the stream's mutex until it has a connection. Another request of the stream
// would wait for the mutex, and a bubble's time does not pass while a goroutine does that.
func TestTheStreamOfAWatchThatNoMemberHasSeenIsNotOpenedAgainByGRPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		dials := 0
		dial := func(ctx context.Context, _ string) (net.Conn, error) {
			if dials++; dials > 1 { // the member is gone
				<-ctx.Done()
				return nil, ctx.Err()
			}
			client, server := net.Pipe()
			go leaveUnseen(server)
			return client, nil
		}
		options := append(etcdmem.Start(t, 1).DialOptions(),
			grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()))
		conn, err := grpc.NewClient("passthrough:///member", options...)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		watch, err := pb.NewWatchClient(conn).Watch(ctx, grpc.WaitForReady(true))
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { _, err := watch.Recv(); ended <- err }()
		select {
		case err := <-ended:
			if err == nil {
				t.Error("a server that has seen nothing has answered")
			}
		case <-time.After(time.Second):
			t.Error("promised: the stream ends, and etcd's client opens another one; after a second gRPC was opening it again")
		}
	})
}
