package natskv

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go"
)

var (
	errLost     = errors.New("the connection was lost")
	errNoAnswer = errors.New("no answer")
)

// ask makes one request. A request over a lost connection is never answered, and the client does not repeat it. So the request also ends when the
// connection is lost, and after Config.Timeout.
func ask[T any](ctx context.Context, s *Store, request func(context.Context) (T, error)) (T, error) {
	timed, cancel := context.WithTimeoutCause(ctx, s.config.Timeout, errNoAnswer)
	defer cancel()
	connected, end := s.whileConnected(timed)
	defer end()
	answer, err := request(connected)
	if err != nil {
		err = s.why(connected, err)
	}
	return answer, err
}

// whileConnected returns a context that ends, with errLost as its cause, when the connection is lost; end ends it
// earlier and leaves nothing behind.
func (s *Store) whileConnected(ctx context.Context) (connected context.Context, end func()) {
	nc := s.connection()
	connected, cancel := context.WithCancelCause(ctx)
	lost := nc.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-lost:
			cancel(errLost)
		case <-connected.Done():
		}
	})
	return connected, func() {
		cancel(nil)
		waiting.Wait()
		nc.RemoveStatusListener(lost)
	}
}

// why returns the reason of err. connected is the context of the call that failed.
func (s *Store) why(connected context.Context, err error) error {
	if s.connection().IsClosed() {
		return nats.ErrConnectionClosed
	}
	if cause := context.Cause(connected); cause != nil {
		return cause
	}
	return err
}
