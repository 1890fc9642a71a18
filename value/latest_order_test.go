package value

import (
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

func TestV14LatestIsReplacedOnlyByANewerGoodValue(t *testing.T) {
	good := func(epoch uint64, revision kv.Revision) *update[string] {
		u := &update[string]{epoch: epoch}
		u.Put(kv.Entry{Key: "/a", ModRevision: revision})
		u.Revision = revision
		return u
	}
	gone := func(epoch uint64, revision kv.Revision) *update[string] {
		return &update[string]{Position: upstream.Position{Revision: revision}, epoch: epoch}
	}
	bad := func(epoch uint64, revision kv.Revision) *update[string] {
		u := good(epoch, revision)
		u.err = errors.New("bad")
		return u
	}
	for _, c := range []struct {
		name    string
		offered *update[string] // where revision 10 of history 1 is the latest
		taken   bool
	}{
		{"newer", good(1, 11), true},
		{"older", good(1, 9), false},
		{"the same revision", good(1, 10), false},
		{"newer and bad", bad(1, 11), false},
		{"of the history before, at a higher revision", good(0, 50), false},
		{"of the history before, at the same revision", good(0, 10), false},
		{"of the next history, at a lower revision", good(2, 3), true},
		{"of the next history, at the same revision", good(2, 10), true},
		{"of the next history, and bad", bad(2, 50), false},
		{"a newer deletion", gone(1, 11), true},
		{"an older deletion", gone(1, 9), false},
	} {
		v := New(memory.New(), "/a", String)
		last := good(1, 10)
		v.state.offerLatest(last)
		v.state.offerLatest(c.offered)
		want := last
		if c.taken {
			if want = c.offered; !want.Present {
				want = nil
			}
		}
		if got := v.state.latest.good.Load(); got != want {
			t.Errorf("%s: promised: Latest is the newest good value; it is %+v, want %+v", c.name, got, want)
		}
		if c.taken { // and what is older than that does not come back
			v.state.offerLatest(last)
			if got := v.state.latest.good.Load(); got != want {
				t.Errorf("%s: an older value came back: %+v", c.name, got)
			}
		}
	}
}

func TestV14LatestMayBeOfAnyRevisionAfterAllWatchersWereClosed(t *testing.T) {
	v := New(memory.New(), "/a", String)
	u := &update[string]{}
	u.Put(kv.Entry{Key: "/a", ModRevision: 50})
	u.Revision = 50
	v.state.offerLatest(u)
	if got := v.state.latest.since(0); got != 50 {
		t.Errorf("Latest is of revision %d, want 50", got)
	}
	if got := v.state.latest.since(1); got != -1 {
		t.Errorf("Latest is of revision %d of a history that it is not of", got)
	}
	v.state.latest.begin(time.Now())
	older := &update[string]{}
	older.Put(kv.Entry{Key: "/a", ModRevision: 3})
	older.Revision = 3
	v.state.offerLatest(older)
	if v.state.latest.good.Load() != older {
		t.Error("promised: what a store that was replaced holds is the Latest; it was not taken")
	}
}
