package kv_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
)

func TestOpErrorMatchesItsReasonAndItsCause(t *testing.T) {
	leaktest.Check(t)
	cause := errors.New("etcdserver: permission denied")
	other := errors.New("rpc error: code = 7")
	tests := []struct {
		err  *kv.OpError
		is   []error
		text string
	}{
		{&kv.OpError{Store: "kv/x", Op: `get "/a"`, Reason: kv.ErrClosed}, []error{kv.ErrClosed}, `kv/x: get "/a": closed`},
		{&kv.OpError{Store: "kv/x", Op: `get "/a"`, Reason: kv.ErrPermission, Cause: cause}, []error{kv.ErrPermission, cause},
			`kv/x: get "/a": permission denied`},
		{&kv.OpError{Store: "kv/x", Op: `get "/a"`, Reason: kv.ErrPermission, Cause: other}, []error{kv.ErrPermission, other},
			`kv/x: get "/a": permission denied (rpc error: code = 7)`},
		{&kv.OpError{Store: "kv/x", Op: "commit", Reason: context.DeadlineExceeded}, []error{context.DeadlineExceeded},
			"kv/x: commit: context deadline exceeded"},
		{&kv.OpError{Store: "kv/x", Op: "watch all keys after 3", Reason: &kv.CompactedError{Oldest: 7}}, []error{kv.ErrCompacted},
			"kv/x: watch all keys after 3: history compacted: the oldest revision kept is 7"},
	}
	for _, test := range tests {
		err := fmt.Errorf("app: %w", test.err)
		for _, target := range test.is {
			if !errors.Is(err, target) {
				t.Errorf("%v is not %v", err, target)
			}
		}
		if errors.Is(err, kv.ErrConflict) {
			t.Errorf("%v is a conflict", err)
		}
		if got := test.err.Error(); got != test.text {
			t.Errorf("the message is %s, want %s", got, test.text)
		}
		if op := new(kv.OpError); !errors.As(err, &op) || op != test.err {
			t.Errorf("%v does not yield its OpError", err)
		}
	}
}

func TestCompactedErrorNamesTheOldestRevision(t *testing.T) {
	leaktest.Check(t)
	err := fmt.Errorf("app: %w", &kv.OpError{Store: "kv/x", Op: "watch", Reason: &kv.CompactedError{Oldest: 7}})
	compacted := new(kv.CompactedError)
	if !errors.As(err, &compacted) || compacted.Oldest != 7 {
		t.Errorf("%v reports %d", err, compacted.Oldest)
	}
	if got := (&kv.CompactedError{}).Error(); got != "history compacted" {
		t.Errorf("without a revision it says %q", got)
	}
}

func TestErrUnsupportedMatchesTheStandardLibrarys(t *testing.T) {
	leaktest.Check(t)
	if !errors.Is(kv.ErrUnsupported, errors.ErrUnsupported) {
		t.Error("ErrUnsupported does not match errors.ErrUnsupported")
	}
}
