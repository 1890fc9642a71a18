package value_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// The scenarios of a prefix are those of a key, with a Map in place of the Value.
const prefix = "/app/range/"

// mapReader is a watcher of a Map of the prefix.
type mapReader struct {
	*value.Watcher[value.View[string]]
	of *value.Map[string]
}

func openMap(t *testing.T, store kv.Store, watchOpts []value.WatchOption, opts ...value.Option) mapReader {
	m := value.NewMap(store, kv.Prefix(prefix), value.String, append([]value.Option{value.WithRetry(shortest, longest)}, opts...)...)
	w := m.Watch(watchOpts...)
	t.Cleanup(func() { w.Close() })
	return mapReader{w, m}
}

var everyUpdate = []value.WatchOption{value.EveryUpdate()}

// viewText returns a View in the form "a=1 b=2".
func viewText(v value.View[string]) string {
	var all []string
	for key, item := range v.All() {
		all = append(all, strings.TrimPrefix(key, prefix)+"="+textOf(&item))
	}
	return strings.Join(all, " ")
}

// shows fails unless the next View holds want.
func (r mapReader) shows(t *testing.T, want string, opts ...value.GetOption[value.View[string]]) value.View[string] {
	t.Helper()
	v, err := r.Get(patiently(t), opts...)
	if err != nil || viewText(v) != want {
		t.Fatalf("Get = %q, %v; want %q\nstatus: %+v", viewText(v), err, want, r.of.Status())
	}
	return v
}

// nextKeyStillArrives is the last step of each scenario with a fault: it puts one more key, and the Views must have it next to what they held
// before.
func nextKeyStillArrives(t *testing.T, through kv.Writer, before string, readers ...mapReader) {
	t.Helper()
	rev := put(t, through, prefix+"~", "next")
	for _, r := range readers {
		r.shows(t, strings.TrimSpace(before+" ~=next"), value.AtLeast[value.View[string]](rev))
	}
}

func rangeOfKeys(t *testing.T, w site) {
	c := w.client(t)
	neighbours := func(v string) {
		for _, key := range []string{"/app/range", "/app/range.", "/app/range0", "/app/rang", "/app/range.\xff"} {
			put(t, c, key, v)
		}
	}
	put(t, c, prefix+"a", "1")
	put(t, c, prefix+"b", "1")
	put(t, c, prefix+"gone", "1")
	neighbours("1")
	hold := c.Hold(fault.Gets, fault.Answered)
	newest, every := openMap(t, c, nil), openMap(t, c, everyUpdate)
	must(t, hold.Wait(patiently(t)))
	put(t, c, prefix+"b", "2") // during the first read
	_, err := c.Delete(t.Context(), prefix+"gone")
	must(t, err)
	put(t, c, prefix, "itself")
	neighbours("2")
	hold.Release()
	for _, r := range []mapReader{newest, every} {
		for want := "=itself a=1 b=2"; ; {
			v, err := r.Get(patiently(t))
			must(t, err)
			for key := range v.All() {
				if !strings.HasPrefix(key, prefix) {
					t.Fatalf("a neighbour is in the View: %q", key)
				}
			}
			if viewText(v) == want {
				break
			}
		}
	}
	put(t, c, prefix+"a\x00", "3")
	neighbours("3")
	_, err = c.Delete(t.Context(), prefix)
	must(t, err)
	every.shows(t, "=itself a=1 a\x00=3 b=2")
	every.shows(t, "a=1 a\x00=3 b=2")
	newest.shows(t, "a=1 a\x00=3 b=2", value.Where(func(v value.View[string]) bool { return v.Len() == 3 && viewText(v)[0] != '=' }))
	for _, r := range []mapReader{newest, every} {
		if v, err := r.TryGet(); !errors.Is(err, value.ErrNothingNew) {
			t.Errorf("TryGet = %q, %v; want ErrNothingNew", viewText(v), err)
		}
	}
}

func backlogRange(t *testing.T, w site) {
	c := w.client(t)
	var last kv.Revision
	alternate := func(name string) {
		for i := range 100 {
			last = put(t, c, prefix+string(rune('a'+i%2)), fmt.Sprint(name, i))
		}
	}
	alternate("before")
	x := openMap(t, c, nil)
	v := x.shows(t, "a=before98 b=before99")
	n := 0
	for range v.Changes() {
		n++
	}
	if n != 2 {
		t.Errorf("the first View has %d changes, want 2", n)
	}
	c.running(t)
	alternate("after")
	quick := mapReader{x.of.Watch(), x.of}
	defer quick.Close()
	quick.shows(t, "a=after98 b=after99", value.AtLeast[value.View[string]](last))
	x.shows(t, "a=after98 b=after99", value.AtLeast[value.View[string]](last))
	if v, err := x.TryGet(); !errors.Is(err, value.ErrNothingNew) {
		t.Errorf("TryGet = %q, %v; want ErrNothingNew", viewText(v), err)
	}
}

func rangeClientPartition(t *testing.T, w site) {
	cutOff, majority := w.client(t, 0), w.client(t, 1, 2)
	put(t, majority, prefix+"a", "1")
	put(t, majority, prefix+"b", "1")
	x, y := openMap(t, cutOff, nil), openMap(t, majority, nil)
	x.shows(t, "a=1 b=1")
	y.shows(t, "a=1 b=1")
	w.partition(t, 0)
	put(t, majority, prefix+"a", "2")
	y.shows(t, "a=2 b=1")
	_, err := majority.Delete(t.Context(), prefix+"b")
	must(t, err)
	y.shows(t, "a=2")
	if v, err := x.TryGet(); !errors.Is(err, value.ErrNothingNew) {
		t.Fatalf("TryGet = %q, %v, but its member is cut off", viewText(v), err)
	}
	w.heal(t)
	x.shows(t, "a=2", value.Where(func(v value.View[string]) bool { return v.Len() == 1 }))
	nextKeyStillArrives(t, majority, "a=2", x, y)
}

func rangeDeletedWhileAway(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, prefix+"a", "1")
	put(t, majority, prefix+"b", "1")
	x, every := openMap(t, c, nil), openMap(t, c, everyUpdate)
	x.shows(t, "a=1 b=1")
	every.shows(t, "a=1 b=1")
	w.partition(t, 0)
	_, err := majority.Delete(t.Context(), prefix+"a")
	must(t, err)
	w.compact(t)
	w.heal(t)
	v := x.shows(t, "b=1")
	for c := range v.Changes() {
		if c.Key != prefix+"a" || c.New != nil {
			t.Errorf("%q is in Changes, want only the removal of a", c.Key)
		}
	}
	got, err := every.Get(patiently(t))
	if _, gap := errors.AsType[*value.GapError](err); gap {
		got, err = every.Get(patiently(t))
	}
	if err != nil || viewText(got) != "b=1" {
		t.Errorf("Get of every update = %q, %v; want only b, after at most one GapError", viewText(got), err)
	}
	nextKeyStillArrives(t, majority, "b=1", x, every)
}

func rangeUnchangedAfterResync(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, prefix+"a", "1")
	x := openMap(t, c, nil)
	x.shows(t, "a=1")
	c.running(t)
	c.Cut()
	w.compact(t)
	before := c.Counts().Watches
	c.Heal()
	must(t, c.Wait(patiently(t), func(n fault.Counts) bool { return n.Watches >= before+1 && n.Streams == 1 }))
	if v, err := x.TryGet(); !errors.Is(err, value.ErrNothingNew) {
		t.Errorf("after reading again TryGet = %q, %v; want ErrNothingNew", viewText(v), err)
	}
	nextKeyStillArrives(t, majority, "a=1", x)
}

func replaceRange(t *testing.T, w site, ahead int) {
	writer, c := w.client(t), w.client(t)
	put(t, writer, prefix+"a", "backup")
	put(t, writer, prefix+"same", "1")
	fill(t, writer, 20)
	restore := w.backup(t)
	fill(t, writer, 30)
	put(t, writer, prefix+"a", "lost")
	put(t, writer, prefix+"b", "lost")
	x := openMap(t, c, nil, value.WithCheck(shortest))
	every := openMap(t, c, everyUpdate, value.WithCheck(shortest))
	x.shows(t, "a=lost b=lost same=1")
	every.shows(t, "a=lost b=lost same=1")
	c.running(t)
	c.Cut()
	restore()
	fill(t, writer, ahead)
	c.Heal()
	for key := range x.shows(t, "a=backup same=1").Changes() {
		if key.Key == prefix+"same" {
			t.Errorf("a key that is the same in the backup is in Changes")
		}
	}
	if v, err := every.Get(patiently(t)); !errors.As(err, new(*value.GapError)) || !errors.Is(err, kv.ErrReset) {
		t.Errorf("Get of every update = %q, %v; want a GapError for the replaced history", viewText(v), err)
	}
	every.shows(t, "a=backup same=1")
	nextKeyStillArrives(t, writer, "a=backup same=1", x, every)
}

func rangeRestored(t *testing.T, w site)      { replaceRange(t, w, 0) }
func rangeRestoredAhead(t *testing.T, w site) { replaceRange(t, w, 60) }

func rangeRestartUnread(t *testing.T, w site) {
	majority, c := w.client(t, 1, 2), w.client(t, 0)
	put(t, majority, prefix+"a", "1")
	x := openMap(t, c, nil)
	x.shows(t, "a=1")
	w.stop(t, 0)
	put(t, majority, prefix+"b", "2")
	_, err := majority.Delete(t.Context(), prefix+"a")
	must(t, err)
	w.start(t, 0)
	x.shows(t, "b=2", value.Where(func(v value.View[string]) bool { return viewText(v) == "b=2" }))
	nextKeyStillArrives(t, majority, "b=2", x)
}
