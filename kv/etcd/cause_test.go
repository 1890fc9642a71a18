package etcd_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
)

// unreachable runs a test in a bubble with a Store whose client never connects. Each attempt to connect calls fails with the time since
// the beginning of the test, and ends with the error that fails returns. If that is nil, the attempt hangs.
func unreachable(t *testing.T, fails func(at time.Duration) error, test func(t *testing.T, store *etcd.Store)) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		client := must(clientv3.New(clientv3.Config{
			Endpoints: []string{"10.0.0.1:2379"},
			Logger:    zap.NewNop(),
			DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				if err := fails(time.Since(began)); err != nil {
					return nil, err
				}
				<-ctx.Done()
				return nil, ctx.Err()
			})},
		}))(t)
		defer client.Close()
		test(t, etcd.New(client))
	})
}

var (
	errHangUp  = errors.New("write tcp 10.0.0.2:50000->10.0.0.1:2379: write: broken pipe")
	errExpired = errors.New("remote error: tls: expired certificate")
)

// A server that refuses a client's certificate closes the connection while the client may still be sending.
func TestALostCauseIsFoundInTheNextAttempt(t *testing.T) {
	hangsUpFirst := func(at time.Duration) error {
		if at < 2*time.Second { // then a read begins to look for the cause
			return errHangUp
		}
		return errExpired
	}
	unreachable(t, hangsUpFirst, func(t *testing.T, store *etcd.Store) {
		_, err := store.Get(t.Context(), kv.Key("k"))
		if !errors.Is(err, kv.ErrUnavailable) || !strings.HasSuffix(err.Error(), errExpired.Error()+")") {
			t.Errorf("promised: the error names the cause, %v\nhappened: %v", errExpired, err)
		}
	})
}

func TestACauseIsKeptUntilTheClientIsConnected(t *testing.T) {
	for name, later := range map[string]error{"an attempt that is cut off": errHangUp, "an attempt that hangs": nil} {
		t.Run(name, func(t *testing.T) {
			expiredFirst := func(at time.Duration) error {
				if at < 3*time.Second {
					return errExpired
				}
				return later
			}
			unreachable(t, expiredFirst, func(t *testing.T, store *etcd.Store) {
				for range 10 {
					if _, err := store.Get(t.Context(), kv.Key("k")); !strings.Contains(err.Error(), errExpired.Error()) {
						t.Fatalf("promised: an attempt without a cause does not hide the known cause, %v\nhappened after %s: %v", errExpired, name, err)
					}
				}
			})
		})
	}
}

func TestAHangingAttemptToConnectEndsARead(t *testing.T) {
	never := func(time.Duration) error { return nil }
	unreachable(t, never, func(t *testing.T, store *etcd.Store) {
		began := time.Now()
		_, err := store.Get(t.Context(), kv.Key("k"))
		if took := time.Since(began); !errors.Is(err, kv.ErrUnavailable) || took > 6*time.Second {
			t.Errorf("promised: a read without a connection ends within 6 s with ErrUnavailable\nhappened: after %v, %v", took, err)
		}
	})
}

func TestAClientWithoutEndpointsIsNoConnectionToNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newCounting(t, 1).client(plain)
		store := etcd.New(client)
		must(store.Put(t.Context(), "k", nil))(t)
		client.SetEndpoints()
		_, err := store.Get(t.Context(), kv.Key("k"))
		if !errors.Is(err, kv.ErrUnavailable) || !strings.Contains(err.Error(), "the client has no endpoints") {
			t.Errorf("promised: the error of a read names the cause, that the client has no endpoints\nhappened: %v", err)
		}
	})
}
