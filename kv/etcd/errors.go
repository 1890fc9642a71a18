package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/kv"
)

const storeName = "kv/etcd"

// invalid returns the error of a call that was refused without a request to etcd.
func invalid(op func() string, err error) error {
	for _, reason := range []error{kv.ErrInvalidKey, kv.ErrInvalidRange, kv.ErrUnsupported} {
		if errors.Is(err, reason) {
			return &kv.OpError{Store: storeName, Op: op(), Reason: err}
		}
	}
	return &kv.OpError{Store: storeName, Op: op(), Reason: kv.ErrUnsupported, Cause: err}
}

// ready returns an error if the call need not be tried.
func (s *Store) ready(ctx context.Context, op func() string) error {
	switch {
	case s.missing != nil:
		return &kv.OpError{Store: storeName, Op: op(), Reason: kv.ErrClosed, Cause: s.missing}
	case ctx.Err() != nil:
		return &kv.OpError{Store: storeName, Op: op(), Reason: ctx.Err()}
	case s.isClosed():
		return &kv.OpError{Store: storeName, Op: op(), Reason: kv.ErrClosed, Cause: s.whyClientClosed()}
	}
	return nil
}

// whyClientClosed returns why the client is closed, if the program has not closed it: a client ends with the Context of its configuration. A
// deadline there, meant for the first connection, ends the client in the middle of its work.
func (s *Store) whyClientClosed() error {
	c, ok := s.client.(interface{ Ctx() context.Context })
	if !ok {
		return nil
	}
	cause := context.Cause(c.Ctx())
	if cause == nil || cause == context.Canceled { // Close of the client cancels it
		return nil
	}
	return fmt.Errorf("the context of the client has ended: %v", cause) // no caller may take it for the end of another context
}

// failed returns err, which etcd or its client returned for op, as an error of this package. If ctx is done
// and err may be only the consequence of that, it returns ctx's error.
func (s *Store) failed(ctx context.Context, op func() string, err error) error {
	reason := classify(err)
	if reason == kv.ErrUnavailable || reason == kv.ErrClosed {
		switch {
		case ctx.Err() != nil:
			reason = ctx.Err()
		case isPastDeadline(ctx) && isDeadline(err):
			reason = context.DeadlineExceeded // etcd has noticed the deadline before ctx
		case s.isClosed():
			reason = kv.ErrClosed
			if why := s.whyClientClosed(); why != nil {
				err = why
			}
		case s.closed != nil:
			reason = kv.ErrUnavailable // a proxy on the way may end a call as cancelled, too
		}
	}
	return &kv.OpError{Store: storeName, Op: op(), Reason: reason, Cause: withoutContext(err, reason)}
}

// withoutContext returns err so that it matches no context's error except reason. Contexts of etcd's client and of this
// package end too, and a caller would take such an end for the end of its own context.
func withoutContext(err, reason error) error {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if end != reason && errors.Is(err, end) {
			return errors.New(err.Error())
		}
	}
	return err
}

func isPastDeadline(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

func isDeadline(err error) bool {
	code, _ := said(err)
	return code == codes.DeadlineExceeded
}

// reasons maps the errors of etcd to the errors of package kv. It has every error of rpctypes, by its text, because clientv3 flattens
// the error of a refused watch, and has no typed form of some others.
//
// The errors of requests that this package never makes (of leases, members, users, downgrades) are
// kv.ErrUnsupported. Only a server that is not etcd could return them.
var reasons = describe(map[error][]error{
	kv.ErrCompacted: {rpctypes.ErrGRPCCompacted},
	kv.ErrNotFound:  {rpctypes.ErrGRPCKeyNotFound},
	kv.ErrInvalidKey: {
		rpctypes.ErrGRPCEmptyKey,
		rpctypes.ErrGRPCDuplicateKey,
	},
	kv.ErrTooLarge: {
		rpctypes.ErrGRPCRequestTooLarge,
		rpctypes.ErrGRPCTooManyOps,
	},
	// Errors of users, tokens and permissions. Only another try distinguishes an expired token from a removed user,
	// so both are here.
	kv.ErrPermission: {
		rpctypes.ErrGRPCPermissionDenied,
		rpctypes.ErrGRPCInvalidAuthToken,
		rpctypes.ErrGRPCAuthFailed,
		rpctypes.ErrGRPCAuthNotEnabled,
		rpctypes.ErrGRPCUserEmpty,
		rpctypes.ErrGRPCUserNotFound,
		rpctypes.ErrGRPCRoleNotFound,
		rpctypes.ErrGRPCRoleNotGranted,
		rpctypes.ErrGRPCPermissionNotGranted,
		rpctypes.ErrGRPCPermissionNotGiven,
		rpctypes.ErrGRPCRootUserNotExist,
		rpctypes.ErrGRPCRootRoleNotExist,
		rpctypes.ErrGRPCInvalidAuthMgmt,
	},
	// The state of a member or of the cluster, which passes, or which an operator ends.
	kv.ErrUnavailable: {
		rpctypes.ErrGRPCNoLeader,
		rpctypes.ErrGRPCNotLeader,
		rpctypes.ErrGRPCLeaderChanged,
		rpctypes.ErrGRPCStopped,
		rpctypes.ErrGRPCTimeout,
		rpctypes.ErrGRPCTimeoutDueToLeaderFail,
		rpctypes.ErrGRPCTimeoutDueToConnectionLost,
		rpctypes.ErrGRPCTimeoutWaitAppliedIndex,
		rpctypes.ErrGRPCUnhealthy,
		rpctypes.ErrGRPCCorrupt,
		rpctypes.ErrGRPCNoSpace,
		rpctypes.ErrGRPCRequestTooManyRequests,
		rpctypes.ErrGRPCNotCapable,
		rpctypes.ErrGRPCNotSupportedForLearner,
		rpctypes.ErrGRPCClusterIDMismatch,
		rpctypes.ErrGRPCClusterVersionUnavailable,
		rpctypes.ErrGRPCWatchCanceled,
		rpctypes.ErrGRPCCanceled,
		rpctypes.ErrGRPCDeadlineExceeded,
		rpctypes.ErrGRPCFutureRev,       // of a watch that was cancelled without a reason
		rpctypes.ErrGRPCAuthOldRevision, // users or roles have just changed: ask again
	},
	kv.ErrUnsupported: {
		rpctypes.ErrGRPCInvalidClientAPIVersion,
		rpctypes.ErrGRPCInvalidSortOption,
		rpctypes.ErrGRPCValueProvided,
		rpctypes.ErrGRPCLeaseProvided,
		rpctypes.ErrGRPCLeaseNotFound,
		rpctypes.ErrGRPCLeaseExist,
		rpctypes.ErrGRPCLeaseTTLTooLarge,
		rpctypes.ErrGRPCMemberExist,
		rpctypes.ErrGRPCPeerURLExist,
		rpctypes.ErrGRPCMemberNotEnoughStarted,
		rpctypes.ErrGRPCMemberBadURLs,
		rpctypes.ErrGRPCMemberNotFound,
		rpctypes.ErrGRPCMemberNotLearner,
		rpctypes.ErrGRPCLearnerNotReady,
		rpctypes.ErrGRPCTooManyLearners,
		rpctypes.ErrGRPCBadLeaderTransferee,
		rpctypes.ErrGRPCUserAlreadyExist,
		rpctypes.ErrGRPCRoleAlreadyExist,
		rpctypes.ErrGRPCRoleEmpty,
		rpctypes.ErrGRPCWrongDowngradeVersionFormat,
		rpctypes.ErrGRPCInvalidDowngradeTargetVersion,
		rpctypes.ErrGRPCDowngradeInProcess,
		rpctypes.ErrGRPCNoInflightDowngrade,
	},
})

func describe(table map[error][]error) map[string]error {
	byText := make(map[string]error)
	for reason, errs := range table {
		for _, err := range errs {
			byText[rpctypes.ErrorDesc(err)] = reason
		}
	}
	return byText
}

// classify returns the error of package kv for err, which came from etcd or its client. An
// unknown error is kv.ErrUnavailable, because another try later does the least harm. The error has the cause, for
// people to read.
func classify(err error) error {
	code, text := said(err)
	if reason, ok := reasons[text]; ok {
		if reason == kv.ErrCompacted {
			return &kv.CompactedError{}
		}
		return reason
	}
	switch code {
	case codes.PermissionDenied, codes.Unauthenticated:
		return kv.ErrPermission
	case codes.Unimplemented:
		return kv.ErrUnsupported
	case codes.ResourceExhausted:
		if isOversize(err) {
			return kv.ErrTooLarge
		}
	case codes.Canceled:
		// The caller did not cancel (see failed, which knows more of most clients), and etcd would use its own words.
		// So the client cancelled, because it was closed.
		return kv.ErrClosed
	}
	return kv.ErrUnavailable
}

// describes reports whether err is etcd's error known, in any of the forms in which errors arrive.
func describes(err, known error) bool {
	_, text := said(err)
	return text == rpctypes.ErrorDesc(known)
}

// isOversize reports whether a message was larger than etcd, gRPC or the client's own
// settings allow. Then the request did not happen, or the answer did not arrive.
func isOversize(err error) bool {
	code, text := said(err)
	return code == codes.ResourceExhausted && strings.Contains(text, "larger than max")
}

// said returns the gRPC code of err and the words of etcd, in any of the forms in which errors arrive.
func said(err error) (codes.Code, string) {
	var (
		typed  rpctypes.EtcdError
		remote interface{ GRPCStatus() *status.Status }
	)
	switch {
	case err == nil:
		return codes.OK, ""
	case errors.As(err, &typed):
		return typed.Code(), typed.Error()
	case errors.As(err, &remote):
		return unflatten(remote.GRPCStatus().Code(), remote.GRPCStatus().Message())
	case errors.Is(err, context.Canceled):
		return codes.Canceled, err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded, err.Error()
	}
	return unflatten(codes.Unknown, err.Error())
}

// unflatten splits the text of a gRPC error. etcd gives the reason for the refusal of a watch as such a text:
//
//	rpc error: code = PermissionDenied desc = etcdserver: permission denied
//
// It returns any other text unchanged, with the given code.
func unflatten(code codes.Code, text string) (codes.Code, string) {
	rest, ok := strings.CutPrefix(text, "rpc error: code = ")
	if !ok {
		return code, text
	}
	name, desc, ok := strings.Cut(rest, " desc = ")
	if !ok {
		return code, text
	}
	for known := codes.Canceled; known <= codes.Unauthenticated; known++ {
		if known.String() == name {
			return known, desc
		}
	}
	return code, desc
}

// shorten quotes a key for a message. A key that etcd refuses for its size would fill the log.
func shorten(key string) string {
	const most = 256
	if len(key) <= most {
		return fmt.Sprintf("%q", key)
	}
	return fmt.Sprintf("%q... (%d bytes)", key[:most], len(key))
}

// shortenRange returns r as [kv.Range.String] does, with its keys shortened.
func shortenRange(r kv.Range) string {
	if key, ok := r.Key(); ok {
		return shorten(key)
	}
	if prefix, ok := r.Prefix(); ok {
		return shorten(prefix) + "*"
	}
	if from, to, bounded := r.Bounds(); bounded {
		return fmt.Sprintf("[%s, %s)", shorten(from), shorten(to))
	}
	return r.String()
}
