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

// invalid is the error of a call that was refused before etcd was asked.
func invalid(op func() string, err error) error {
	for _, reason := range []error{kv.ErrInvalidKey, kv.ErrInvalidRange, kv.ErrUnsupported} {
		if errors.Is(err, reason) {
			return &kv.OpError{Store: storeName, Op: op(), Reason: err}
		}
	}
	return &kv.OpError{Store: storeName, Op: op(), Reason: kv.ErrUnsupported, Cause: err}
}

// ready returns the error of a call that need not be tried.
func (s *Store) ready(ctx context.Context, op func() string) error {
	switch {
	case s.missing != nil:
		return &kv.OpError{Store: storeName, Op: op(), Reason: kv.ErrClosed, Cause: s.missing}
	case ctx.Err() != nil:
		return &kv.OpError{Store: storeName, Op: op(), Reason: ctx.Err()}
	case s.isClosed():
		return &kv.OpError{Store: storeName, Op: op(), Reason: kv.ErrClosed}
	}
	return nil
}

// failed returns err, which etcd or its client gave for op, as an error of this package. Where ctx is done
// and err may be nothing but the consequence, it is ctx's error.
func (s *Store) failed(ctx context.Context, op func() string, err error) error {
	reason := classify(err)
	if reason == kv.ErrUnavailable || reason == kv.ErrClosed {
		switch {
		case ctx.Err() != nil:
			reason = ctx.Err()
		case isPastDeadline(ctx) && isDeadline(err):
			reason = context.DeadlineExceeded // etcd's clock was the first to say so
		case s.isClosed():
			reason = kv.ErrClosed
		}
	}
	return &kv.OpError{Store: storeName, Op: op(), Reason: reason, Cause: withoutContext(err, reason)}
}

// withoutContext returns err so that it matches no context's error but reason. Contexts of etcd's client, and of this
// package, end as well, and a caller takes the end of a context for that of its own.
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

// reasons maps what etcd says to what it means to a caller. It holds every error of rpctypes, by its text:
// clientv3 flattens the error of a refused watch, and leaves the typed form of some others out.
//
// The errors of requests that this package never makes (of leases, members, users, downgrades) are
// kv.ErrUnsupported: they could only come from something that is not etcd.
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
	// Who is calling, and what that user may do. A token that expired or was forgotten is told apart from a
	// user who is gone only by trying again, so both are here.
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
		rpctypes.ErrGRPCFutureRev,       // of a watch that was cancelled and not told why
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

// classify returns the one error of package kv that err, which came from etcd or its client, amounts to. What
// nobody foresaw is kv.ErrUnavailable: trying again later is what does least harm, and the cause is in
// the error for people to read.
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
		// It was not the caller who cancelled (see failed), and etcd says so in words of its own: it was the
		// client, as it closed.
		return kv.ErrClosed
	}
	return kv.ErrUnavailable
}

// describes reports whether err is etcd's error known, in whatever form it has arrived.
func describes(err, known error) bool {
	_, text := said(err)
	return text == rpctypes.ErrorDesc(known)
}

// isOversize reports whether err is of a message that was larger than etcd, gRPC or the client's own
// settings allow: such a request did not happen, or such an answer did not arrive.
func isOversize(err error) bool {
	code, text := said(err)
	return code == codes.ResourceExhausted && strings.Contains(text, "larger than max")
}

// said returns the gRPC code of err and the words that etcd gave it, in whatever form it has arrived.
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

// unflatten takes apart the text of a gRPC error, which is how etcd says why it refused a watch:
//
//	rpc error: code = PermissionDenied desc = etcdserver: permission denied
//
// Any other text is itself, of the given code.
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
