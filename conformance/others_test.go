package conformance_test

import (
	"context"
	"sync"
	"testing"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

// one is a backend that counts its checks, and those that run at a time.
type one struct {
	mu      sync.Mutex
	checks  int
	running map[context.Context]bool // by the context of the check, which may open several stores
	max     int
}

func (o *one) backend() conformance.Backend {
	return conformance.Backend{
		Open: func(t conformance.T) conformance.Store {
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.running == nil {
				o.running = make(map[context.Context]bool)
			}
			if check := t.Context(); !o.running[check] {
				o.checks++
				o.running[check] = true
				o.max = max(o.max, len(o.running))
				t.Cleanup(func() {
					o.mu.Lock()
					defer o.mu.Unlock()
					delete(o.running, check)
				})
			}
			return memory.New()
		},
		Commit: true,
		Compact: func(ctx context.Context, s conformance.Store, rev kv.Revision) error {
			return s.(*memory.Store).Compact(ctx, rev)
		},
	}
}

func TestRunDividesTheChecksAmongBackends(t *testing.T) {
	var alone, first, second one
	t.Run("one", func(t *testing.T) { conformance.Run(t, alone.backend()) })
	t.Run("two", func(t *testing.T) { conformance.Run(t, first.backend(), second.backend()) })
	const extra = 2 // each backend is probed, and checks on each may share a history
	if both := first.checks + second.checks; both < alone.checks || both > alone.checks+extra {
		t.Errorf("two backends ran %d checks, one alone %d: each check must run once", both, alone.checks)
	}
	for i, o := range []*one{&first, &second} {
		if o.checks < alone.checks/10 {
			t.Errorf("backend %d ran only %d of %d checks", i, o.checks, alone.checks)
		}
		if o.max > 2 { // a check, and the history that checks share
			t.Errorf("backend %d ran %d checks at a time: its checks must not run concurrently", i, o.max)
		}
	}
}
