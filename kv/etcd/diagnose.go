package etcd

import (
	"context"
	"errors"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
)

const (
	// diagnoseWithin bounds each question of a diagnosis.
	diagnoseWithin = 3 * time.Second
	// inquireEvery is the time between two attempts to find a cause that was lost.
	inquireEvery = 500 * time.Millisecond
)

var (
	// errRenewed is not a failure: the client's connections were dead, and now it has new ones.
	errRenewed = errors.New("the client has new connections")
	// errDeadConnection ends the watches on connections that were found dead.
	errDeadConnection = errors.New("the client's connection had died without a reset, and a new connection works: " +
		"set DialKeepAliveTime in the client's configuration (see KeepAlive)")
)

// diagnose returns why the client gets no answer, as far as its connection knows. It returns nil if nothing is known. It returns
// errRenewed if the old connections are dead and it has made the client use new ones. It may do that only if dead is true: then
// nothing was answered for so long that a slow link is no explanation.
func (s *Store) diagnose(ctx context.Context, dead bool) error {
	client, ok := s.client.(*clientv3.Client)
	if !ok || client.ActiveConnection() == nil {
		return nil
	}
	conn := client.ActiveConnection()
	s.connection.connect(ctx)
	err := inquireAgain(ctx, conn)
	state := conn.GetState()
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		s.connection.connected()
		return nil
	case isOfEtcd(err):
		return withoutPrefix(err) // the member's own words, for example that it has no leader
	case isConnectionError(err) || state == connectivity.Connecting || state == connectivity.TransientFailure || state == connectivity.Idle:
		return s.connection.noConnection(client.Endpoints(), err)
	case !isTimeout(err):
		return withoutPrefix(err)
	}
	// The connection seems to work, and nothing answers.
	if !dead || !answersAnew(ctx, client) || ctx.Err() != nil {
		return nil
	}
	renew(client)
	for _, l := range s.lanes.inUse() {
		if time.Duration(sinceStart()-l.heard.Load()) > quietFor {
			s.lanes.kill(l, errDeadConnection)
		}
	}
	return errRenewed
}

// inquireAgain calls inquire, and for a while calls it again if the answer is only that the other side has closed the connection.
// The reason for the close, for example a certificate that the other side does not accept, may have been lost. The next attempt to
// connect mostly brings it. gRPC does not report that attempt: the state stays TransientFailure until the client is connected.
func inquireAgain(ctx context.Context, conn *grpc.ClientConn) error {
	timer := time.NewTimer(diagnoseWithin)
	defer timer.Stop()
	again := time.NewTicker(inquireEvery)
	defer again.Stop()
	for {
		err := inquire(ctx, conn)
		if err == nil || !isHangUp(err) {
			return err
		}
		select {
		case <-again.C:
		case <-timer.C:
			return err
		case <-ctx.Done():
			return err
		}
	}
}

// inquire makes an empty read over conn, and fails at once if conn is not connected. A member without a leader answers with that error.
func inquire(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), diagnoseWithin)
	defer cancel()
	request := &pb.RangeRequest{Key: []byte{0}, CountOnly: true, Serializable: true}
	_, err := pb.NewKVClient(conn).Range(ctx, request, grpc.WaitForReady(false))
	if err == nil || isRefusal(err) {
		return nil // a refusal is an answer
	}
	return err
}

func isRefusal(err error) bool {
	code, _ := said(err)
	return code == codes.PermissionDenied || code == codes.Unauthenticated || code == codes.InvalidArgument
}

func isTimeout(err error) bool {
	code, _ := said(err)
	return code == codes.DeadlineExceeded || code == codes.Canceled
}

// answersAnew reports whether an endpoint of client answers over a new connection.
func answersAnew(ctx context.Context, client *clientv3.Client) bool {
	endpoints := client.Endpoints()
	answers := make(chan bool, len(endpoints))
	for _, endpoint := range endpoints {
		go func() {
			conn, err := client.Dial(endpoint)
			if err != nil {
				answers <- false
				return
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(ctx, diagnoseWithin)
			defer cancel()
			request := &pb.RangeRequest{Key: []byte{0}, CountOnly: true, Serializable: true}
			_, err = pb.NewKVClient(conn).Range(ctx, request, grpc.WaitForReady(true))
			answers <- err == nil || isRefusal(err)
		}()
	}
	answered := false
	for range endpoints {
		answered = <-answers || answered
	}
	return answered
}

// renew makes client use new connections. Requests under way keep the old ones, so no request is broken. For a client
// that exists, the only way to do this is to remove its endpoints and set them again.
func renew(client *clientv3.Client) {
	endpoints := client.Endpoints()
	client.SetEndpoints()
	client.SetEndpoints(endpoints...)
}
