package property_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/kv/memory"
)

// The random programs have only small keys and values. This tests large ones: what is too large for etcd is too large for memory, and if a call
// has several mistakes, both stores name the same one.
func TestEtcdAndMemoryAgreeOnWhatIsTooLarge(t *testing.T) {
	leaktest.Check(t)
	type store interface {
		kv.Store
		kv.Writer
		kv.Committer
	}
	long := func(n int) string { return strings.Repeat("k", n) }
	absent := func(n int) []kv.Condition {
		conditions := make([]kv.Condition, n)
		for i := range conditions {
			conditions[i] = kv.IfAbsent()
		}
		return conditions
	}
	ops := func(n int, op func(i int) kv.Op) []kv.Op {
		all := make([]kv.Op, n)
		for i := range all {
			all[i] = op(i)
		}
		return all
	}
	numbered := func(i int) kv.Op { return kv.PutOp(fmt.Sprint("key ", i), nil) }
	unknown := func(i int) kv.Op { return kv.Op{Type: 9, Key: fmt.Sprint("key ", i)} }
	const KiB, MiB = 1 << 10, 1 << 20
	over, end := context.WithCancel(t.Context())
	end()
	writes := func(write func(context.Context, store) (kv.Revision, error)) func(context.Context, store) error {
		return func(ctx context.Context, s store) error {
			_, err := write(ctx, s)
			return err
		}
	}
	put := func(key string, value []byte, conditions ...kv.Condition) func(context.Context, store) error {
		return writes(func(ctx context.Context, s store) (kv.Revision, error) { return s.Put(ctx, key, value, conditions...) })
	}
	commit := func(ops ...kv.Op) func(context.Context, store) error {
		return writes(func(ctx context.Context, s store) (kv.Revision, error) { return s.Commit(ctx, ops...) })
	}
	get := func(r kv.Range) func(context.Context, store) error {
		return func(ctx context.Context, s store) error {
			_, err := s.Get(ctx, r)
			return err
		}
	}
	watch := func(r kv.Range) func(context.Context, store) error {
		return func(ctx context.Context, s store) error {
			for _, err := range s.Watch(ctx, r, 0) {
				return err // nil with the first batch, which comes if the key exists
			}
			return nil
		}
	}
	tests := []struct {
		name string
		do   func(context.Context, store) error
		want error
	}{
		{"a value of 1.4 MiB", put("k", make([]byte, 1400*KiB)), nil},
		{"a value of 1.6 MiB", put("k", make([]byte, 1600*KiB)), kv.ErrTooLarge},
		{"a key of 1.4 MiB", put(long(1400*KiB), nil), nil},
		{"a key of 1.6 MiB", put(long(1600*KiB), nil), kv.ErrTooLarge},
		{"a key of 800 KiB and a condition, which names it again", put("other"+long(800*KiB), nil, kv.IfAbsent()), kv.ErrTooLarge},
		{"a key of 700 KiB and a condition", put("other"+long(700*KiB), nil, kv.IfAbsent()), nil},
		{"a key of 600 KiB and two conditions", put("another"+long(600*KiB), nil, absent(2)...), kv.ErrTooLarge},
		{"128 keys of 8 KiB with conditions", commit(ops(128, func(i int) kv.Op { return kv.PutOp(long(8*KiB)+fmt.Sprint(i), nil, kv.IfAbsent()) })...), kv.ErrTooLarge},
		{"a deletion with a value, which it ignores", commit(kv.Op{Type: kv.EventDelete, Key: "k", Value: make([]byte, 3*MiB)}), nil},
		{"128 ops", commit(ops(128, numbered)...), nil},
		{"129 ops", commit(ops(129, numbered)...), kv.ErrTooLarge},
		{"129 conditions", put("k", nil, absent(129)...), kv.ErrTooLarge},
		{"129 ops, one of them twice", commit(append(ops(128, numbered), numbered(0))...), kv.ErrInvalidKey},
		{"129 ops, one without a key", commit(append(ops(128, numbered), kv.PutOp("", nil))...), kv.ErrInvalidKey},
		{"129 ops of an unknown type", commit(ops(129, unknown)...), kv.ErrUnsupported},
		{"a key twice, then an unknown type", commit(numbered(0), numbered(0), unknown(1)), kv.ErrInvalidKey},
		{"an unknown type, then a key twice", commit(unknown(1), numbered(0), numbered(0)), kv.ErrUnsupported},
		{"129 ops on a condition that does not hold", commit(append(ops(128, numbered), kv.PutOp("k", nil, kv.IfRevision(77)))...), kv.ErrTooLarge},
		{"get a key of 1.9 MiB", get(kv.Key(long(1900 * KiB))), nil},
		{"get a key of 2.1 MiB", get(kv.Key(long(2100 * KiB))), kv.ErrTooLarge},
		{"get a prefix of 1.1 MiB, which has two ends", get(kv.Prefix(long(1100 * KiB))), kv.ErrTooLarge},
		{"get a prefix of 0.9 MiB", get(kv.Prefix(long(900 * KiB))), nil},
		{"watch a key of 1.4 MiB", watch(kv.Key(long(1400 * KiB))), nil},
		{"watch a key of 2.1 MiB", watch(kv.Key(long(2100 * KiB))), kv.ErrTooLarge},
		{"watch a prefix of 1.1 MiB", watch(kv.Prefix(long(1100 * KiB))), kv.ErrTooLarge},
	}
	client := etcdtest.Start(t, 1).Client()
	closedClient := etcdtest.Start(t, 1).Client()
	closedClient.Close()
	closed := memory.New()
	closed.Close()
	for _, pair := range []struct {
		what         string
		etcd, memory store
		ctx          context.Context
		instead      func(want error) error
	}{
		{"", etcd.New(client), memory.New(), t.Context(), func(want error) error { return want }},
		{", with a context that has ended", etcd.New(client), memory.New(), over, atOnceOr(context.Canceled)},
		{", when closed", etcd.New(closedClient), closed, t.Context(), atOnceOr(kv.ErrClosed)},
	} {
		for _, test := range tests {
			t.Run(test.name+pair.what, func(t *testing.T) {
				want := pair.instead(test.want)
				for name, s := range map[string]store{"etcd": pair.etcd, "memory": pair.memory} {
					ctx, cancel := context.WithTimeout(pair.ctx, 10*time.Second) // limits a watch that waits although it should not
					defer cancel()
					if err := test.do(ctx, s); !errors.Is(err, want) {
						t.Errorf("on %s the error is %.300v, want %v", name, err, want)
					}
				}
			})
		}
	}
}

// atOnceOr returns the expected error of a call whose store must not be called: the mistake, if the call finds it by itself, and otherwise instead.
func atOnceOr(instead error) func(want error) error {
	return func(want error) error {
		if want == kv.ErrInvalidKey || want == kv.ErrUnsupported {
			return want
		}
		return instead
	}
}
