package value_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// The scenarios are what the project was founded on. Each runs on memory and on a real etcd cluster of three
// members:
//
//	go test ./value -run 'Scenarios/ClientPartition'
//	go test ./value -run 'Scenarios/.*/etcd'
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
					s.run(t, on.make(t))
				})
			}
		})
	}
}

func simple(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	x := openString(t, c)
	gives(t, x, "one")
	put(t, c, key, "two")
	gives(t, x, "two")
	for _, v := range []string{"three", "four", "five", "six"} {
		put(t, c, key, v)
	}
	ends(t, x, "six")
}

func cancelBlocked(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	x := openString(t, c)
	gives(t, x, "one")
	ctx, cancel := context.WithCancel(t.Context())
	blocked := getBeside(ctx, x)
	c.running(t)
	cancel()
	(<-blocked).fails(t, context.Canceled)
	put(t, c, key, "two")
	gives(t, x, "two")
}

func cancelOnGet(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, key, "one")
	w.partition(t, 0)
	x := openString(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	blocked := getBeside(ctx, x)
	must(t, c.Wait(patiently(t), func(n fault.Counts) bool { return n.Gets > 0 }))
	select {
	case a := <-blocked:
		t.Fatalf("Get = %q, %v through a member that is cut off", a.value, a.err)
	default:
	}
	cancel()
	(<-blocked).fails(t, context.Canceled)
	w.heal(t)
	gives(t, x, "one")
	nextStillArrives(t, majority, x)
}

func clientReconnect(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, key, "one")
	x := openString(t, c)
	gives(t, x, "one")
	blocked := getBeside(patiently(t), x)
	c.running(t)
	w.stop(t, 0)
	c.pointAt(1, 2)
	put(t, majority, key, "two")
	(<-blocked).is(t, "two")
	nextStillArrives(t, majority, x)
}

func clientPartition(t *testing.T, w site) {
	cutOff, majority := w.client(t, 0), w.client(t, 1, 2)
	put(t, majority, key, "a")
	x, y := openString(t, cutOff), openString(t, majority)
	gives(t, x, "a")
	gives(t, y, "a")
	w.partition(t, 0)
	blocked := getBeside(patiently(t), x)
	put(t, majority, key, "b")
	gives(t, y, "b")
	select {
	case a := <-blocked:
		t.Fatalf("Get = %q, %v through a member that is cut off", a.value, a.err)
	default:
	}
	w.heal(t)
	(<-blocked).is(t, "b")
	put(t, majority, key, "c")
	gives(t, x, "c")
	gives(t, y, "c")
	nextStillArrives(t, majority, x, y)
}

func earlyUse(t *testing.T, w site) {
	c := w.client(t)
	x := openString(t, c)
	blocked := getBeside(patiently(t), x)
	c.running(t)
	put(t, c, key, "one")
	(<-blocked).is(t, "one")
}

func remove(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	x, y := openString(t, c), openString(t, c, value.WithDefault(""))
	gives(t, x, "one")
	gives(t, y, "one")
	_, err := c.Delete(t.Context(), key)
	must(t, err)
	if v, err := x.Get(patiently(t)); !errors.Is(err, value.ErrDeleted) {
		t.Errorf("Get = %q, %v; want ErrDeleted", v, err)
	}
	gives(t, y, "")
}

func emptyRace(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	_, err := c.Delete(t.Context(), key)
	must(t, err)
	hold := c.Hold(fault.Watches)
	x := openString(t, c)
	blocked := getBeside(patiently(t), x)
	must(t, hold.Wait(patiently(t)))
	put(t, c, key, "two")
	hold.Release()
	(<-blocked).is(t, "two")
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
	gives(t, x, 3)
	for _, v := range []string{"", "9", "foo", "18", "10", "10", "27", "36"} {
		put(t, c, key, v)
	}
	var got []string
	for range 8 {
		n, err := x.Get(patiently(t))
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
	if v, err := x.TryGet(); !errors.Is(err, value.ErrNothingNew) {
		t.Errorf("one more: %v, %v", v, err)
	}
}

func backlog(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "initial")
	x := openString(t, c)
	gives(t, x, "initial")
	c.running(t)
	var last kv.Revision
	for i := range 1000 {
		last = put(t, c, key, strconv.Itoa(i))
	}
	quick := reader[string]{x.of.Watch(), x.of}
	defer quick.Close()
	gives(t, quick, "999", value.AtLeast[string](last))
	// The last of them is here. The very next Get gives it, with nothing kept of the values between.
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
	tryGives := func(want string) {
		t.Helper()
		c.running(t) // the first read is answered
		if v, err := x.TryGet(); err != nil || v != want {
			t.Fatalf("TryGet = %q, %v; want %q", v, err, want)
		}
	}
	tryGives("one")
	if v, err := x.TryGet(); !errors.Is(err, value.ErrNothingNew) {
		t.Fatalf("the second TryGet = %q, %v; want ErrNothingNew", v, err)
	}
	put(t, c, key, "two")
	gives(t, x, "two")
}

func filter(t *testing.T, w site) {
	c := w.client(t)
	number := func(b []byte) (int, error) { return strconv.Atoi(string(b)) }
	above5 := value.Where(func(n int) bool { return n > 5 })
	newest, every := openAs(t, c, number, nil), openAs(t, c, number, nil, value.EveryUpdate())
	for i := 1; i <= 10; i++ {
		put(t, c, key, strconv.Itoa(i))
	}
	for _, x := range []reader[int]{newest, every} {
		before, err := x.Get(patiently(t), above5)
		if err != nil || before <= 5 {
			t.Fatalf("Get of values above 5 = %d, %v", before, err)
		}
		for before < 10 {
			n, err := x.Get(patiently(t)) // what was passed over does not come later either
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
	gives(t, x, "one")
	a, b := getBeside(patiently(t), x), getBeside(patiently(t), x)
	var first answer
	select {
	case first = <-a:
		a = b
	case first = <-b:
	}
	first.fails(t, value.ErrConcurrentGet)
	put(t, c, key, "two")
	(<-a).is(t, "two")
}

func closeDuringGet(t *testing.T, w site) {
	c := w.client(t)
	put(t, c, key, "one")
	x, y := openString(t, c), openString(t, c)
	gives(t, x, "one")
	gives(t, y, "one")
	blocked := getBeside(patiently(t), x)
	must(t, x.Close())
	(<-blocked).fails(t, value.ErrClosed)
	blocked = getBeside(patiently(t), y)
	c.close()
	(<-blocked).fails(t, value.ErrClosed)
}

func deletedWhileAway(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, key, "one")
	x, every := openString(t, c), openAs(t, c, value.String, nil, value.EveryUpdate())
	gives(t, x, "one")
	gives(t, every, "one")
	w.partition(t, 0)
	_, err := majority.Delete(t.Context(), key)
	must(t, err)
	w.compact(t)
	w.heal(t)
	if v, err := x.Get(patiently(t)); !errors.Is(err, value.ErrDeleted) {
		t.Errorf("Get = %q, %v; want ErrDeleted", v, err)
	}
	v, err := every.Get(patiently(t))
	if gap := new(value.GapError); errors.As(err, &gap) {
		v, err = every.Get(patiently(t))
	}
	if !errors.Is(err, value.ErrDeleted) {
		t.Errorf("Get of every update = %q, %v; want ErrDeleted, after a GapError at most", v, err)
	}
	nextStillArrives(t, majority, x, every)
}

func unchangedAfterResync(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, key, "one")
	x, every := openString(t, c), openAs(t, c, value.String, nil, value.EveryUpdate())
	gives(t, x, "one")
	gives(t, every, "one")
	c.running(t)
	c.Cut()
	w.compact(t)
	before := c.Counts().Watches
	c.Heal()
	must(t, c.Wait(patiently(t), func(n fault.Counts) bool { return n.Watches >= before+2 && n.Streams == 2 }))
	for _, w := range []reader[string]{x, every} {
		if v, err := w.TryGet(); !errors.Is(err, value.ErrNothingNew) {
			t.Errorf("after reading afresh TryGet = %q, %v; want ErrNothingNew", v, err)
		}
	}
	nextStillArrives(t, majority, x, every)
}

// The history of these two begins where the backup is made, at about revision 20, and reaches about 50.
func replaceHistory(t *testing.T, w site, ahead int) {
	writer, c := w.client(t), w.client(t)
	put(t, writer, key, "backup")
	fill(t, writer, 20)
	restore := w.backup(t)
	fill(t, writer, 30)
	put(t, writer, key, "lost")
	x, every := openString(t, c, value.WithCheck(shortest)), openAs(t, c, value.String, []value.Option{value.WithCheck(shortest)}, value.EveryUpdate())
	gives(t, x, "lost")
	gives(t, every, "lost")
	c.running(t)
	c.Cut()
	restore()
	fill(t, writer, ahead)
	c.Heal()
	gives(t, x, "backup")
	var gap *value.GapError
	if v, err := every.Get(patiently(t)); !errors.As(err, &gap) || !errors.Is(err, kv.ErrReset) {
		t.Errorf("Get of every update = %q, %v; want a GapError for the history that was replaced", v, err)
	}
	gives(t, every, "backup")
	nextStillArrives(t, writer, x, every)
}

func fill(t *testing.T, w kv.Writer, writes int) {
	for i := range writes {
		put(t, w, "/fill", strconv.Itoa(i))
	}
}

func restored(t *testing.T, w site)      { replaceHistory(t, w, 0) }
func restoredAhead(t *testing.T, w site) { replaceHistory(t, w, 60) }

func restartUnread(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, key, "one")
	x := openString(t, c)
	gives(t, x, "one")
	w.stop(t, 0)
	put(t, majority, key, "two")
	put(t, majority, key, "three")
	w.start(t, 0)
	gives(t, x, "three")
	nextStillArrives(t, majority, x)
}
