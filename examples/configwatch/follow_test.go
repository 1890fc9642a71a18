package main

import (
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

func TestLimitsAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		limits := value.New(store, "/app/limits", value.JSON[Limits])
		var applied Limits
		go follow(t.Context(), limits, func(l Limits) { applied = l })

		store.Put(t.Context(), "/app/limits", []byte(`{"rps":10}`))
		synctest.Wait() // until all goroutines are blocked
		if applied.RPS != 10 {
			t.Errorf("applied %+v, want 10 a second", applied)
		}
	})
}
