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
	// inquireEvery is how often a diagnosis looks for a cause that was lost.
	inquireEvery = 500 * time.Millisecond
)

var (
	// errRenewed is no error: the client's connections were dead, and it has new ones.
	errRenewed = errors.New("the client has new connections")
	// errDeadConnection ends the watches on connections that were found dead.
	errDeadConnection = errors.New("the client's connection had died without a reset, and a new connection works: " +
		"set DialKeepAliveTime in the client's configuration (see KeepAlive)")
)

// diagnose returns why the client gets no answer, as far as its connection knows. It returns nil if nothing is known, and
// errRenewed if it has made the client use new connections, because the old ones are dead. It may take them for that only
// if dead says that nothing was answered for so long that a slow link is no explanation.
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
		return withoutPrefix(err) // the member's own words, such as that it has no leader
	case isConnectionError(err) || state == connectivity.Connecting || state == connectivity.TransientFailure || state == connectivity.Idle:
		return s.connection.noConnection(client.Endpoints(), err)
	case !isTimeout(err):
		return withoutPrefix(err)
	}
	// The connection seems to be there, and nothing answers.
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

// inquireAgain is inquire, and inquires again, for a while, where the answer is only that the other side has closed the connection.
// The reason, such as a certificate that it does not accept, may have been lost, and mostly comes with the next attempt to
// connect. gRPC does not say when that is: a connection that has failed counts as such until it is there.
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

// inquire asks etcd for nothing over conn, and fails at once if conn is not connected. A member without a leader says so.
func inquire(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), diagnoseWithin)
	defer cancel()
	request := &pb.RangeRequest{Key: []byte{0}, CountOnly: true, Serializable: true}
	_, err := pb.NewKVClient(conn).Range(ctx, request, grpc.WaitForReady(false))
	if err == nil || isRefusal(err) {
		return nil // whoever refuses is there
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

// renew makes client connect again. Requests under way keep their old connections, so that none of them is broken; new
// ones use the new connections. There is no other way to do that to a client that exists than to take its endpoints away
// and to give them back.
func renew(client *clientv3.Client) {
	endpoints := client.Endpoints()
	client.SetEndpoints()
	client.SetEndpoints(endpoints...)
}
