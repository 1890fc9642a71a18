package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
)

// portable lists the errors that a failed call may match. It must match exactly one of them.
var portable = []error{
	kv.ErrCompacted, kv.ErrConflict, kv.ErrReset, kv.ErrNotFound, kv.ErrInvalidKey, kv.ErrInvalidRange,
	kv.ErrTooLarge, kv.ErrUnsupported, kv.ErrPermission, kv.ErrUnavailable, kv.ErrClosed,
	context.Canceled, context.DeadlineExceeded,
}

// errorsOfEtcd says which portable error a caller gets for each error of rpctypes, by the name of the error there.
var errorsOfEtcd = map[string]struct{ err, want error }{
	"ErrGRPCEmptyKey":                      {rpctypes.ErrGRPCEmptyKey, kv.ErrInvalidKey},
	"ErrGRPCKeyNotFound":                   {rpctypes.ErrGRPCKeyNotFound, kv.ErrNotFound},
	"ErrGRPCValueProvided":                 {rpctypes.ErrGRPCValueProvided, kv.ErrUnsupported},
	"ErrGRPCLeaseProvided":                 {rpctypes.ErrGRPCLeaseProvided, kv.ErrUnsupported},
	"ErrGRPCTooManyOps":                    {rpctypes.ErrGRPCTooManyOps, kv.ErrTooLarge},
	"ErrGRPCDuplicateKey":                  {rpctypes.ErrGRPCDuplicateKey, kv.ErrInvalidKey},
	"ErrGRPCInvalidClientAPIVersion":       {rpctypes.ErrGRPCInvalidClientAPIVersion, kv.ErrUnsupported},
	"ErrGRPCInvalidSortOption":             {rpctypes.ErrGRPCInvalidSortOption, kv.ErrUnsupported},
	"ErrGRPCCompacted":                     {rpctypes.ErrGRPCCompacted, kv.ErrCompacted},
	"ErrGRPCFutureRev":                     {rpctypes.ErrGRPCFutureRev, kv.ErrUnavailable},
	"ErrGRPCNoSpace":                       {rpctypes.ErrGRPCNoSpace, kv.ErrUnavailable},
	"ErrGRPCLeaseNotFound":                 {rpctypes.ErrGRPCLeaseNotFound, kv.ErrUnsupported},
	"ErrGRPCLeaseExist":                    {rpctypes.ErrGRPCLeaseExist, kv.ErrUnsupported},
	"ErrGRPCLeaseTTLTooLarge":              {rpctypes.ErrGRPCLeaseTTLTooLarge, kv.ErrUnsupported},
	"ErrGRPCWatchCanceled":                 {rpctypes.ErrGRPCWatchCanceled, kv.ErrUnavailable},
	"ErrGRPCMemberExist":                   {rpctypes.ErrGRPCMemberExist, kv.ErrUnsupported},
	"ErrGRPCPeerURLExist":                  {rpctypes.ErrGRPCPeerURLExist, kv.ErrUnsupported},
	"ErrGRPCMemberNotEnoughStarted":        {rpctypes.ErrGRPCMemberNotEnoughStarted, kv.ErrUnsupported},
	"ErrGRPCMemberBadURLs":                 {rpctypes.ErrGRPCMemberBadURLs, kv.ErrUnsupported},
	"ErrGRPCMemberNotFound":                {rpctypes.ErrGRPCMemberNotFound, kv.ErrUnsupported},
	"ErrGRPCMemberNotLearner":              {rpctypes.ErrGRPCMemberNotLearner, kv.ErrUnsupported},
	"ErrGRPCLearnerNotReady":               {rpctypes.ErrGRPCLearnerNotReady, kv.ErrUnsupported},
	"ErrGRPCTooManyLearners":               {rpctypes.ErrGRPCTooManyLearners, kv.ErrUnsupported},
	"ErrGRPCClusterIDMismatch":             {rpctypes.ErrGRPCClusterIDMismatch, kv.ErrUnavailable},
	"ErrGRPCClusterIdMismatch":             {rpctypes.ErrGRPCClusterIDMismatch, kv.ErrUnavailable},
	"ErrGRPCRequestTooLarge":               {rpctypes.ErrGRPCRequestTooLarge, kv.ErrTooLarge},
	"ErrGRPCRequestTooManyRequests":        {rpctypes.ErrGRPCRequestTooManyRequests, kv.ErrUnavailable},
	"ErrGRPCRootUserNotExist":              {rpctypes.ErrGRPCRootUserNotExist, kv.ErrPermission},
	"ErrGRPCRootRoleNotExist":              {rpctypes.ErrGRPCRootRoleNotExist, kv.ErrPermission},
	"ErrGRPCUserAlreadyExist":              {rpctypes.ErrGRPCUserAlreadyExist, kv.ErrUnsupported},
	"ErrGRPCUserEmpty":                     {rpctypes.ErrGRPCUserEmpty, kv.ErrPermission},
	"ErrGRPCUserNotFound":                  {rpctypes.ErrGRPCUserNotFound, kv.ErrPermission},
	"ErrGRPCRoleAlreadyExist":              {rpctypes.ErrGRPCRoleAlreadyExist, kv.ErrUnsupported},
	"ErrGRPCRoleNotFound":                  {rpctypes.ErrGRPCRoleNotFound, kv.ErrPermission},
	"ErrGRPCRoleEmpty":                     {rpctypes.ErrGRPCRoleEmpty, kv.ErrUnsupported},
	"ErrGRPCAuthFailed":                    {rpctypes.ErrGRPCAuthFailed, kv.ErrPermission},
	"ErrGRPCPermissionNotGiven":            {rpctypes.ErrGRPCPermissionNotGiven, kv.ErrPermission},
	"ErrGRPCPermissionDenied":              {rpctypes.ErrGRPCPermissionDenied, kv.ErrPermission},
	"ErrGRPCRoleNotGranted":                {rpctypes.ErrGRPCRoleNotGranted, kv.ErrPermission},
	"ErrGRPCPermissionNotGranted":          {rpctypes.ErrGRPCPermissionNotGranted, kv.ErrPermission},
	"ErrGRPCAuthNotEnabled":                {rpctypes.ErrGRPCAuthNotEnabled, kv.ErrPermission},
	"ErrGRPCInvalidAuthToken":              {rpctypes.ErrGRPCInvalidAuthToken, kv.ErrPermission},
	"ErrGRPCInvalidAuthMgmt":               {rpctypes.ErrGRPCInvalidAuthMgmt, kv.ErrPermission},
	"ErrGRPCAuthOldRevision":               {rpctypes.ErrGRPCAuthOldRevision, kv.ErrUnavailable},
	"ErrGRPCNoLeader":                      {rpctypes.ErrGRPCNoLeader, kv.ErrUnavailable},
	"ErrGRPCNotLeader":                     {rpctypes.ErrGRPCNotLeader, kv.ErrUnavailable},
	"ErrGRPCLeaderChanged":                 {rpctypes.ErrGRPCLeaderChanged, kv.ErrUnavailable},
	"ErrGRPCNotCapable":                    {rpctypes.ErrGRPCNotCapable, kv.ErrUnavailable},
	"ErrGRPCStopped":                       {rpctypes.ErrGRPCStopped, kv.ErrUnavailable},
	"ErrGRPCTimeout":                       {rpctypes.ErrGRPCTimeout, kv.ErrUnavailable},
	"ErrGRPCTimeoutDueToLeaderFail":        {rpctypes.ErrGRPCTimeoutDueToLeaderFail, kv.ErrUnavailable},
	"ErrGRPCTimeoutDueToConnectionLost":    {rpctypes.ErrGRPCTimeoutDueToConnectionLost, kv.ErrUnavailable},
	"ErrGRPCTimeoutWaitAppliedIndex":       {rpctypes.ErrGRPCTimeoutWaitAppliedIndex, kv.ErrUnavailable},
	"ErrGRPCUnhealthy":                     {rpctypes.ErrGRPCUnhealthy, kv.ErrUnavailable},
	"ErrGRPCCorrupt":                       {rpctypes.ErrGRPCCorrupt, kv.ErrUnavailable},
	"ErrGRPCNotSupportedForLearner":        {rpctypes.ErrGRPCNotSupportedForLearner, kv.ErrUnavailable},
	"ErrGRPCBadLeaderTransferee":           {rpctypes.ErrGRPCBadLeaderTransferee, kv.ErrUnsupported},
	"ErrGRPCWrongDowngradeVersionFormat":   {rpctypes.ErrGRPCWrongDowngradeVersionFormat, kv.ErrUnsupported},
	"ErrGRPCInvalidDowngradeTargetVersion": {rpctypes.ErrGRPCInvalidDowngradeTargetVersion, kv.ErrUnsupported},
	"ErrGRPCClusterVersionUnavailable":     {rpctypes.ErrGRPCClusterVersionUnavailable, kv.ErrUnavailable},
	"ErrGRPCDowngradeInProcess":            {rpctypes.ErrGRPCDowngradeInProcess, kv.ErrUnsupported},
	"ErrGRPCNoInflightDowngrade":           {rpctypes.ErrGRPCNoInflightDowngrade, kv.ErrUnsupported},
	"ErrGRPCCanceled":                      {rpctypes.ErrGRPCCanceled, kv.ErrUnavailable},
	"ErrGRPCDeadlineExceeded":              {rpctypes.ErrGRPCDeadlineExceeded, kv.ErrUnavailable},
}

func TestEveryErrorOfEtcdIsOnePortableError(t *testing.T) {
	leaktest.Check(t)
	for name, test := range errorsOfEtcd {
		// In the form in which clientv3 returns it from a request.
		checkClass(t, name, test.err, test.want)
		checkClass(t, name+" of clientv3", rpctypes.Error(test.err), test.want)
		checkClass(t, name+" wrapped", fmt.Errorf("wrapped: %w", rpctypes.Error(test.err)), test.want)
		// In the two forms in which etcd gives the reason for a refused watch.
		checkRefusal(t, name, test.err.Error(), test.want)
		checkRefusal(t, name, rpctypes.ErrorDesc(test.err), test.want)
	}
}

// A new error of etcd must be added to the table above.
func TestEveryErrorOfEtcdIsClassified(t *testing.T) {
	pkg, err := build.Import("go.etcd.io/etcd/api/v3/v3rpc/rpctypes", ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(pkg.Dir, "error.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, name := range spec.Names {
			if !strings.HasPrefix(name.Name, "ErrGRPC") {
				continue
			}
			found++
			if _, ok := errorsOfEtcd[name.Name]; !ok {
				t.Errorf("the table errorsOfEtcd lacks rpctypes.%s", name.Name)
			}
		}
		return true
	})
	if found != len(errorsOfEtcd) {
		t.Errorf("rpctypes has %d errors, the table errorsOfEtcd has %d", found, len(errorsOfEtcd))
	}
}

func TestOtherErrorsArePortable(t *testing.T) {
	leaktest.Check(t)
	for code, want := range map[codes.Code]error{
		codes.Canceled:           kv.ErrClosed, // the client was closed: the caller's context has not ended
		codes.Unknown:            kv.ErrUnavailable,
		codes.InvalidArgument:    kv.ErrUnavailable,
		codes.DeadlineExceeded:   kv.ErrUnavailable,
		codes.NotFound:           kv.ErrUnavailable,
		codes.AlreadyExists:      kv.ErrUnavailable,
		codes.PermissionDenied:   kv.ErrPermission,
		codes.ResourceExhausted:  kv.ErrUnavailable,
		codes.FailedPrecondition: kv.ErrUnavailable,
		codes.Aborted:            kv.ErrUnavailable,
		codes.OutOfRange:         kv.ErrUnavailable,
		codes.Unimplemented:      kv.ErrUnsupported,
		codes.Internal:           kv.ErrUnavailable,
		codes.Unavailable:        kv.ErrUnavailable,
		codes.DataLoss:           kv.ErrUnavailable,
		codes.Unauthenticated:    kv.ErrPermission,
	} {
		checkClass(t, code.String(), status.Error(code, "something unheard of"), want)
		if code != codes.Canceled {
			checkRefusal(t, code.String(), status.Error(code, "something unheard of").Error(), want)
		}
	}
	checkClass(t, "too large to send", status.Error(codes.ResourceExhausted, "trying to send message larger than max (3 vs. 2)"), kv.ErrTooLarge)
	checkClass(t, "too large to receive", status.Error(codes.ResourceExhausted, "grpc: received message larger than max (3 vs. 2)"), kv.ErrTooLarge)
	checkClass(t, "unknown", errors.New("something unheard of"), kv.ErrUnavailable)
	checkClass(t, "no endpoint", clientv3.ErrNoAvailableEndpoints, kv.ErrUnavailable)
	checkClass(t, "old cluster", clientv3.ErrOldCluster, kv.ErrUnavailable)
	checkClass(t, "a context of the client's", context.Canceled, kv.ErrClosed)
	checkClass(t, "a deadline of the client's", context.DeadlineExceeded, kv.ErrUnavailable)
	checkRefusal(t, "no words", "", kv.ErrUnavailable)
	checkRefusal(t, "half a status", "rpc error: code = PermissionDenied", kv.ErrUnavailable)
	checkRefusal(t, "an unknown code", "rpc error: code = Nonsense desc = etcdserver: no leader", kv.ErrUnavailable)
}

// checkClass checks that a get and a put that fail with err match want and no other portable error.
func checkClass(t *testing.T, name string, err, want error) {
	t.Helper()
	store := etcd.New(&fake{
		get: func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) { return nil, err },
		txn: func(context.Context, []clientv3.Op) (*clientv3.TxnResponse, error) { return nil, err },
	})
	_, got := store.Get(t.Context(), kv.Key("k"))
	checkError(t, name+" of a get", got, want, err)
	_, got = store.Put(t.Context(), "k", nil)
	checkError(t, name+" of a put", got, want, err)
}

// checkRefusal checks that a watch ends with want when etcd refuses it with this reason.
func checkRefusal(t *testing.T, name, reason string, want error) {
	t.Helper()
	s := newScript(refused(t, reason))
	for _, err := range etcd.New(&fake{watch: s.watch}).Watch(t.Context(), kv.Key("k"), 1) {
		checkError(t, name+" of a watch", err, want, nil)
	}
}

func checkError(t *testing.T, name string, err, want, cause error) {
	t.Helper()
	var op *kv.OpError
	if !errors.As(err, &op) || op.Store != "kv/etcd" {
		t.Errorf("%s: %#v is no OpError of kv/etcd", name, err)
		return
	}
	matched := slices.DeleteFunc(slices.Clone(portable), func(p error) bool { return !errors.Is(err, p) })
	if len(matched) != 1 || matched[0] != want {
		t.Errorf("%s: %v matches %v, want %v alone", name, err, matched, want)
	}
	// The error of a context that is not the caller's is part of the message, and nothing that a caller can match.
	ofContext := errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded)
	if cause != nil && !ofContext && !errors.Is(err, cause) {
		t.Errorf("%s: %v does not wrap %v", name, err, cause)
	}
}

func TestAnEndedContextIsTheErrorOfItsCall(t *testing.T) {
	leaktest.Check(t)
	for name, err := range map[string]error{
		"as itself":      context.Canceled,
		"as a status":    status.Error(codes.Canceled, "context canceled"),
		"as unavailable": status.Error(codes.Unavailable, "transport is closing"),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		store := etcd.New(&fake{get: func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) {
			cancel()
			return nil, err
		}})
		_, got := store.Get(ctx, kv.Key("k"))
		checkError(t, name, got, context.Canceled, err)
	}
	// etcd knows the deadline of the call, and its clock may reach the deadline before the caller's.
	late := status.Error(codes.DeadlineExceeded, "context deadline exceeded")
	_, got := etcd.New(&fake{get: func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) {
		return nil, late
	}}).Get(overdue{t.Context()}, kv.Key("k"))
	checkError(t, "a deadline", got, context.DeadlineExceeded, late)
	// An answer of etcd counts even if the context has ended by then.
	ctx, cancel := context.WithCancel(t.Context())
	store := etcd.New(&fake{txn: func(context.Context, []clientv3.Op) (*clientv3.TxnResponse, error) {
		cancel()
		return nil, rpctypes.ErrRequestTooLarge
	}})
	_, err := store.Put(ctx, "k", nil)
	checkError(t, "decided", err, kv.ErrTooLarge, rpctypes.ErrRequestTooLarge)
}

// overdue is a context whose deadline has passed, but whose Err is still nil.
type overdue struct{ context.Context }

func (overdue) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

func TestACallWithAnEndedContextDoesNotReachEtcd(t *testing.T) {
	leaktest.Check(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	store := etcd.New(&fake{}) // panics when used
	_, err := store.Get(ctx, kv.All())
	checkError(t, "get", err, context.Canceled, nil)
	_, err = store.Put(ctx, "k", nil)
	checkError(t, "put", err, context.Canceled, nil)
	_, err = store.Delete(ctx, "k")
	checkError(t, "delete", err, context.Canceled, nil)
	_, err = store.Commit(ctx)
	checkError(t, "commit", err, context.Canceled, nil)
	for _, err := range store.Watch(ctx, kv.All(), 0) {
		checkError(t, "watch", err, context.Canceled, nil)
	}
}

func TestInvalidCallsDoNotReachEtcd(t *testing.T) {
	leaktest.Check(t)
	store := etcd.New(&fake{}) // panics when used
	for name, test := range map[string]struct {
		r     kv.Range
		after kv.Revision
		want  error
	}{
		"the empty key":       {kv.Key(""), 1, kv.ErrInvalidKey},
		"the zero range":      {kv.Range{}, 1, kv.ErrInvalidRange},
		"an empty interval":   {kv.Interval("b", "a"), 1, kv.ErrInvalidRange},
		"a negative revision": {kv.Key("k"), -1, kv.ErrInvalidRange},
	} {
		if test.after >= 0 {
			_, err := store.Get(t.Context(), test.r)
			checkError(t, "get "+name, err, test.want, nil)
		}
		ended := false
		for _, err := range store.Watch(t.Context(), test.r, test.after) {
			checkError(t, "watch "+name, err, test.want, nil)
			ended = true
		}
		if !ended {
			t.Errorf("watch %s: ended without an error", name)
		}
	}
}
