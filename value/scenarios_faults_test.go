package value_test

import (
	"errors"
	"strconv"
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func cancelOnGet(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, key, "one")
	w.partition(t, 0)
	x := openString(t, c)
	blocked := x.Begin()
	must(t, c.Wait(patiently(t), func(n fault.Counts) bool { return n.Gets > 0 }))
	blocked.Waits() // its member is cut off
	blocked.Cancel()
	w.heal(t)
	x.Gives("one")
	nextStillArrives(t, majority, x)
}

func clientReconnect(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, key, "one")
	x := openString(t, c)
	x.Gives("one")
	blocked := x.Begin()
	c.running(t)
	w.stop(t, 0)
	c.pointAt(1, 2)
	put(t, majority, key, "two")
	blocked.Gives("two")
	nextStillArrives(t, majority, x)
}

func clientPartition(t *testing.T, w site) {
	cutOff, majority := w.client(t, 0), w.client(t, 1, 2)
	put(t, majority, key, "a")
	x, y := openString(t, cutOff), openString(t, majority)
	x.Gives("a")
	y.Gives("a")
	w.partition(t, 0)
	blocked := x.Begin()
	put(t, majority, key, "b")
	y.Gives("b")
	blocked.Waits() // its member is cut off
	w.heal(t)
	blocked.Gives("b")
	put(t, majority, key, "c")
	x.Gives("c")
	y.Gives("c")
	nextStillArrives(t, majority, x, y)
}

func deletedWhileAway(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, key, "one")
	x, every := openString(t, c), openAs(t, c, value.String, nil, value.EveryUpdate())
	x.Gives("one")
	every.Gives("one")
	w.partition(t, 0)
	_, err := majority.Delete(t.Context(), key)
	must(t, err)
	w.compact(t)
	w.heal(t)
	x.Fails(value.ErrDeleted)
	v, err := every.Next()
	if gap := new(value.GapError); errors.As(err, &gap) {
		v, err = every.Next()
	}
	if !errors.Is(err, value.ErrDeleted) {
		t.Errorf("Get of every update = %q, %v; want ErrDeleted, after at most one GapError", v, err)
	}
	nextStillArrives(t, majority, x, every)
}

func unchangedAfterResync(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, key, "one")
	x, every := openString(t, c), openAs(t, c, value.String, nil, value.EveryUpdate())
	x.Gives("one")
	every.Gives("one")
	c.running(t)
	c.Cut()
	w.compact(t)
	before := c.Counts().Watches
	c.Heal()
	must(t, c.Wait(patiently(t), func(n fault.Counts) bool { return n.Watches >= before+2 && n.Streams == 2 }))
	x.HasNothing()
	every.HasNothing()
	nextStillArrives(t, majority, x, every)
}

// The two histories differ from the backup on, at about revision 20. The old one reaches about 50.
func replaceHistory(t *testing.T, w site, ahead int) {
	writer, c := w.client(t), w.client(t)
	put(t, writer, key, "backup")
	fill(t, writer, 20)
	restore := w.backup(t)
	fill(t, writer, 30)
	put(t, writer, key, "lost")
	x, every := openString(t, c, value.WithCheck(shortest)), openAs(t, c, value.String, []value.Option{value.WithCheck(shortest)}, value.EveryUpdate())
	x.Gives("lost")
	every.Gives("lost")
	c.running(t)
	c.Cut()
	restore()
	fill(t, writer, ahead)
	c.Heal()
	x.Gives("backup")
	var gap *value.GapError
	if v, err := every.Next(); !errors.As(err, &gap) || !errors.Is(err, kv.ErrReset) {
		t.Errorf("Get of every update = %q, %v; want a GapError for the replaced history", v, err)
	}
	every.Gives("backup")
	nextStillArrives(t, writer, x, every)
}

func fill(t *testing.T, w kv.Writer, writes int) {
	for i := range writes {
		put(t, w, "/fill", strconv.Itoa(i))
	}
}

func restored(t *testing.T, w site) { replaceHistory(t, w, 0) }

func restoredAhead(t *testing.T, w site) { replaceHistory(t, w, 60) }

func restartUnread(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, key, "one")
	x := openString(t, c)
	x.Gives("one")
	w.stop(t, 0)
	put(t, majority, key, "two")
	put(t, majority, key, "three")
	w.start(t, 0)
	x.Gives("three")
	nextStillArrives(t, majority, x)
}
