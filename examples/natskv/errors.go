package natskv

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

var (
	errSkipped  = errors.New("a message was lost on the way")
	errTooLong  = fmt.Errorf("the subject for the key is longer than %d bytes", maxSubject)
	errNotReady = errors.New("the server that serves reads is behind")
)

// failures makes the errors of this package.
//
// NATS says no to those who lack a permission for a subject by not answering, and tells the connection's own error
// handler why. So that is [kv.ErrUnavailable] here.
var failures = backend.Errors{Store: "natskv", Reason: func(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, jetstream.ErrConnectionClosed):
		return kv.ErrClosed
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, errTooLong),
		errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return kv.ErrTooLarge
	case errors.Is(err, nats.ErrPermissionViolation), errors.Is(err, nats.ErrAuthorization):
		return kv.ErrPermission
	}
	return kv.ErrUnavailable
}}

// overtaken says that a subject's last message was no longer the one expected. Replicated streams have a code of
// their own for it.
func overtaken(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
