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
	// errReconnected is not a failure: the client's connections were dead, and now it has new ones.
	errReconnected = errors.New("the client has new connections")
	// errDeadConnection ends the watches on connections that were found dead.
	errDeadConnection = errors.New("the client's connection had died without a reset, and a new connection works: " +
		"set DialKeepAliveTime in the client's configuration (see KeepAlive)")
)

// diagnose returns why the client gets no answer, as far as its connection knows. It returns nil if nothing is known. It returns
// errReconnected if the old connections are dead and the client has new ones now. It may make the client use new ones only if silentSince is
// not zero: then nothing was answered since that time, which is so long ago that a slow link is no explanation.
func (s *Store) diagnose(ctx context.Context, silentSince time.Time) error {
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
	case !silentSince.IsZero() && s.reconnector.reconnectedSince(silentSince):
		return errReconnected
	case s.reconnector.reconnectedSince(time.Now().Add(-diagnoseWithin)):
		return nil // the client has just begun to connect, and may succeed
	case isConnectionError(err) || state == connectivity.Connecting || state == connectivity.TransientFailure || state == connectivity.Idle:
		return s.connection.noConnection(client.Endpoints(), err)
	case !isTimeout(err):
		return withoutPrefix(err)
	}
	// The connection seems to work, and nothing answers.
	if silentSince.IsZero() || !s.reconnector.reconnect(ctx, client, silentSince, s.lanes.reconnected) {
		return nil
	}
	return errReconnected
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
