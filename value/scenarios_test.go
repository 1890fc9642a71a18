package value_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// The library was written for these scenarios. Each runs on memory, on etcd in memory in virtual time, and on a real etcd
// cluster. Both clusters have three members:
//
//	go test ./value -run 'Scenarios/ClientPartition'
//	go test ./value -run 'Scenarios/.*/etcd$'
func TestScenarios(t *testing.T) {
	for _, s := range []struct {
		name string
		run  func(t *testing.T, w site)
	}{
		{"Simple", simple},
		{"Cancel", cancelBlocked},
		{"CancelOnGet", cancelOnGet},
		{"ClientReconnect", clientReconnect},
		{"ClientPartition", clientPartition},
		{"EarlyUse", earlyUse},
		{"Remove", remove},
		{"EmptyRace", emptyRace},
		{"Decoder", decoder},
		{"Backlog", backlog},
		{"BacklogOnly", backlogOnly},
		{"Filter", filter},
		{"Range", rangeOfKeys},
		{"BacklogRange", backlogRange},
		{"ConcurrentGet", concurrentGet},
		{"CloseDuringGet", closeDuringGet},
		{"DeletedWhileAway", deletedWhileAway},
		{"UnchangedAfterResync", unchangedAfterResync},
		{"Restored", restored},
		{"RestoredAhead", restoredAhead},
		{"RestartUnread", restartUnread},
		{"RangeClientPartition", rangeClientPartition},
		{"RangeDeletedWhileAway", rangeDeletedWhileAway},
		{"RangeUnchangedAfterResync", rangeUnchangedAfterResync},
		{"RangeRestored", rangeRestored},
		{"RangeRestoredAhead", rangeRestoredAhead},
		{"RangeRestartUnread", rangeRestartUnread},
	} {
		t.Run(s.name, func(t *testing.T) {
			for _, on := range sites {
				t.Run(on.name, func(t *testing.T) {
					leaktest.Check(t)
					run := func(t *testing.T) { s.run(t, on.make(t)) }
					if on.bubble {
						synctest.Test(t, run)
					} else {
						run(t)
					}
				})
			}
		})
	}
}

func simple(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	x := openString(t, c)
	x.Gives("one")
	put(t, c, key, "two")
	x.Gives("two")
	for _, v := range []string{"three", "four", "five", "six"} {
		put(t, c, key, v)
	}
	x.ComesTo("six")
}

func cancelBlocked(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	x := openString(t, c)
	x.Gives("one")
	blocked := x.Begin()
	c.running(t)
	blocked.Cancel()
	put(t, c, key, "two")
	x.Gives("two")
}

func earlyUse(t *testing.T, w site) {
	c := w.client(t)
	x := openString(t, c)
	blocked := x.Begin()
	c.running(t)
	put(t, c, key, "one")
	blocked.Gives("one")
}

func remove(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	x, y := openString(t, c), openString(t, c, value.WithDefault(""))
	x.Gives("one")
	y.Gives("one")
	_, err := c.Delete(t.Context(), key)
	must(t, err)
	x.Fails(value.ErrDeleted)
	y.Gives("")
}

func emptyRace(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	_, err := c.Delete(t.Context(), key)
	must(t, err)
	hold := c.Hold(fault.Watches)
	x := openString(t, c)
	blocked := x.Begin()
	must(t, hold.Wait(patiently(t)))
	put(t, c, key, "two")
	hold.Release()
	blocked.Gives("two")
	nextStillArrives(t, c, x)
}

func decoder(t *testing.T, w site) {
	c := w.client(t)
	byThree := func(b []byte) (int, error) {
		n, err := strconv.Atoi(string(b))
		if err == nil && n%3 != 0 {
			err = fmt.Errorf("%d is not divisible by three", n)
		}
		return n, err
	}
	put(t, c, key, "3")
	x := openAs(t, c, byThree, nil, value.EveryUpdate())
	x.Gives(3)
	for _, v := range []string{"", "9", "foo", "18", "10", "10", "27", "36"} {
		put(t, c, key, v)
	}
	var got []string
	for range 8 {
		n, err := x.Next()
		var bad *value.DecodeError
		switch {
		case errors.As(err, &bad):
			got = append(got, "error")
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, strconv.Itoa(n))
		}
	}
	if fmt.Sprint(got) != "[error 9 error 18 error error 27 36]" {
		t.Errorf("the Gets gave %v", got)
	}
	x.HasNothing()
}

func backlog(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "initial")
	x := openString(t, c)
	x.Gives("initial")
	c.running(t)
	var last kv.Revision
	for i := range 1000 {
		last = put(t, c, key, strconv.Itoa(i))
	}
	quick := valuetest.Follow(harness(t), x.Of, "")
	quick.Gives("999", value.AtLeast[string](last))
	// The last value has arrived. The next Get returns it, and none of the values in between.
	second, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if got, err := x.Get(second); err != nil || got != "999" {
		t.Errorf("Get = %v, %v; want 999 within a second", got, err)
	}
	if x.Revision() != last {
		t.Errorf("revision %d behind the last value, want %d", x.Revision(), last)
	}
}

func backlogOnly(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	x := openString(t, c)
	c.running(t) // the first read is answered
	if v, err := x.TryGet(); err != nil || v != "one" {
		t.Fatalf("TryGet = %q, %v; want one", v, err)
	}
	x.HasNothing()
	put(t, c, key, "two")
	x.Gives("two")
}

func filter(t *testing.T, w site) {
	c := w.client(t)
	number := func(b []byte) (int, error) { return strconv.Atoi(string(b)) }
	above5 := value.Where(func(n int) bool { return n > 5 })
	newest, every := openAs(t, c, number, nil), openAs(t, c, number, nil, value.EveryUpdate())
	for i := 1; i <= 10; i++ {
		put(t, c, key, strconv.Itoa(i))
	}
	for _, x := range []*valuetest.Watcher[int]{newest, every} {
		before, err := x.Next(above5)
		if err != nil || before <= 5 {
			t.Fatalf("Get of values above 5 = %d, %v", before, err)
		}
		for before < 10 {
			n, err := x.Next() // a skipped value is not returned later
			if err != nil || n <= before {
				t.Fatalf("Get after %d = %d, %v", before, n, err)
			}
			before = n
		}
	}
}

func concurrentGet(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	x := openString(t, c)
	x.Gives("one")
	stays, refused := x.Begin(), x.Begin()
	select {
	case <-stays.Done():
		stays, refused = refused, stays
	case <-refused.Done():
	}
	refused.Fails(value.ErrConcurrentGet)
	put(t, c, key, "two")
	stays.Gives("two")
}

func closeDuringGet(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	x, y := openString(t, c), openString(t, c)
	x.Gives("one")
	y.Gives("one")
	blocked := x.Begin()
	must(t, x.Close())
	blocked.Fails(value.ErrClosed)
	blocked = y.Begin()
	c.close()
	blocked.Fails(value.ErrClosed)
}
