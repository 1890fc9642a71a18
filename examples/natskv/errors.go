package natskv

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
)

var (
	errSkipped  = errors.New("a message was lost on the way")
	errTooLong  = fmt.Errorf("the subject for the key is longer than %d bytes", maxSubject)
	errNotReady = errors.New("the server that serves reads is behind")
)

// failure returns err as the error of the operation op.
func (s *Store) failure(ctx context.Context, op string, err error) error {
	reason, cause := portable(ctx, err)
	return &kv.OpError{Store: "natskv", Op: op, Reason: reason, Cause: cause}
}

// portable returns the reason that err is in the words of package kv, and err itself if that says more.
//
// NATS says no to those who lack a permission for a subject by not answering, and tells the connection's own error
// handler why. So that is [kv.ErrUnavailable] here.
func portable(ctx context.Context, err error) (reason, cause error) {
	if ctx.Err() != nil {
		return ctx.Err(), nil
	}
	for _, known := range []error{kv.ErrConflict, kv.ErrReset, kv.ErrInvalidKey, kv.ErrInvalidRange, kv.ErrCompacted} {
		if errors.Is(err, known) {
			return err, nil
		}
	}
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, jetstream.ErrConnectionClosed):
		return kv.ErrClosed, err
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, errTooLong),
		errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return kv.ErrTooLarge, err
	case errors.Is(err, nats.ErrPermissionViolation), errors.Is(err, nats.ErrAuthorization):
		return kv.ErrPermission, err
	}
	return kv.ErrUnavailable, err
}

// overtaken says that a subject's last message was no longer the one expected. Replicated streams have a code of
// their own for it.
func overtaken(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
