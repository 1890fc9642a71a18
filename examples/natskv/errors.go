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
// If a client lacks a permission for a subject, NATS does not answer the request, and reports the reason only to the connection's error
// handler. So a missing permission is [kv.ErrUnavailable] here.
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

// overtaken reports whether err says that a subject's last message was no longer the expected one. Replicated streams have
// a separate code for that.
func overtaken(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
