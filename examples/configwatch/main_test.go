package main

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestProgramOnEtcd(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var applied []int
	err := run(ctx, cluster.Endpoints(), func(l Limits) {
		applied = append(applied, l.RPS)
		switch l.RPS {
		case 1: // the default: the key does not exist yet
			if _, err := cluster.Client().Put(ctx, "/app/limits", `{"rps":10}`); err != nil {
				t.Error(err)
				cancel()
			}
		case 10:
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("run = %v, want the context's error", err)
	}
	wantApplied(t, applied, 1, 10)
}

func wantApplied(t *testing.T, applied []int, want ...int) {
	t.Helper()
	if !slices.Equal(applied, want) {
		t.Errorf("applied %v, want %v", applied, want)
	}
}
