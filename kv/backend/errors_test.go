package backend_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

var errDriver = errors.New("driver: no")

func TestTheReasonIsFirstTheContextsThenPackageKVsThenTheBackends(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	e := backend.Errors{Store: "test", Reason: func(err error) error {
		if errors.Is(err, errDriver) {
			return kv.ErrPermission
		}
		return nil
	}}
	for _, test := range []struct {
		ctx         context.Context
		err, want   error
		cause       bool // err stays in the chain
		text        string
		mustNotBeIn error
	}{
		{canceled, errDriver, context.Canceled, false, "test: get: context canceled", kv.ErrPermission},
		{canceled, kv.ErrUnavailable, context.Canceled, false, "test: get: context canceled", kv.ErrUnavailable},
		{t.Context(), &kv.CompactedError{Oldest: 3}, kv.ErrCompacted, true,
			"test: get: history compacted: the oldest revision kept is 3", kv.ErrUnavailable},
		{t.Context(), fmt.Errorf("more: %w", kv.ErrConflict), kv.ErrConflict, true, "test: get: more: conflict", kv.ErrUnavailable},
		{t.Context(), errDriver, kv.ErrPermission, true, "test: get: permission denied (driver: no)", kv.ErrUnavailable},
		{t.Context(), context.DeadlineExceeded, kv.ErrUnavailable, true, "test: get: unavailable (context deadline exceeded)", kv.ErrPermission},
	} {
		err := e.Op(test.ctx, "get", test.err)
		if !errors.Is(err, test.want) || errors.Is(err, test.mustNotBeIn) || test.cause && !errors.Is(err, test.err) || err.Error() != test.text {
			t.Errorf("Op(%v) = %q, want %q, which matches %q and not %q", test.err, err, test.text, test.want, test.mustNotBeIn)
		}
	}
	if err := e.Op(canceled, "get", nil); err != nil {
		t.Errorf("Op of no error = %v", err)
	}
	if err := (backend.Errors{}).Op(t.Context(), "get", errDriver); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("an unknown error is %v, want ErrUnavailable", err)
	}
}
