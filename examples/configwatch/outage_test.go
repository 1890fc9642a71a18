package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// An outage of minutes takes no time in a synctest bubble: its clock moves when all goroutines are blocked.
func TestLimitsSurviveAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fault.New(memory.New())
		var applied []int
		limits := value.New(store, "/app/limits", value.JSON[Limits], value.WithRetry(time.Minute, time.Hour))
		go follow(t.Context(), limits, func(l Limits) { applied = append(applied, l.RPS) })
		put := func(encoded string) {
			t.Helper()
			if _, err := store.Put(t.Context(), "/app/limits", []byte(encoded)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		put(`{"rps":10}`)
		put(`{"rps":"many"}`) // does not decode: 10 stays
		wantApplied(t, applied, 10)

		outage := store.Fail(-1, kv.ErrUnavailable, fault.Reads)
		store.EndStreams(kv.ErrUnavailable)
		put(`{"rps":20}`)
		put(`{"rps":30}`)
		wantApplied(t, applied, 10) // the old limits still apply

		outage.Remove()
		time.Sleep(5 * time.Minute) // on the bubble's clock; by then the Value has retried
		synctest.Wait()
		wantApplied(t, applied, 10, 30) // the newest limits, not those of the outage
	})
}
