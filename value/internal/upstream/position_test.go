package upstream

import (
	"errors"
	"testing"

	"github.com/watchkv/watchkv/kv"
)

// at returns the Position of an existing key: its entry, and the revision up to which the key is known to have it.
func at(revision, create, mod kv.Revision, version int64, bytes string) Position {
	p := Position{}
	p.Put(kv.Entry{Key: "/a", Value: []byte(bytes), CreateRevision: create, ModRevision: mod, Version: version})
	p.Revision = revision
	return p
}

func absent(revision kv.Revision) Position { return Position{Revision: revision} }

func TestV5PositionsThatContradictEachOtherAreAReplacement(t *testing.T) {
	for _, c := range []struct {
		name     string
		was, now Position
		replaced bool
	}{
		{"nothing happened", at(9, 3, 5, 2, "x"), at(9, 3, 5, 2, "x"), false},
		{"nothing happened to this key", at(9, 3, 5, 2, "x"), at(12, 3, 5, 2, "x"), false},
		{"nothing happened to no key", absent(9), absent(12), false},
		{"the revision went back", at(9, 3, 5, 2, "x"), at(8, 3, 5, 2, "x"), true},
		{"the revision went back to before the key", at(9, 3, 5, 2, "x"), absent(8), true},
		{"the revision of an absence went back", absent(9), absent(8), true},
		{"put", at(9, 3, 5, 2, "x"), at(12, 3, 11, 3, "y"), false},
		{"put at the next revision", at(9, 3, 9, 2, "x"), at(10, 3, 10, 3, "y"), false},
		{"put with every revision", at(9, 3, 5, 2, "x"), at(12, 3, 12, 5, "y"), false},
		{"put more often than there were revisions: one may hold several puts", at(9, 3, 5, 2, "x"), at(12, 3, 12, 6, "y"), false},
		{"put and no newer version", at(9, 3, 5, 2, "x"), at(12, 3, 11, 2, "y"), true},
		{"put and an older version", at(9, 3, 5, 2, "x"), at(12, 3, 11, 1, "y"), true},
		{"put at a revision that had passed", at(9, 3, 5, 2, "x"), at(12, 3, 8, 3, "y"), true},
		{"put at the revision that was the last", at(9, 3, 5, 2, "x"), at(12, 3, 9, 3, "y"), true},
		{"other bytes at the same revision", at(9, 3, 5, 2, "x"), at(12, 3, 5, 2, "y"), true},
		{"another version at the same revision", at(9, 3, 5, 2, "x"), at(12, 3, 5, 1, "x"), true},
		{"made at another revision", at(9, 3, 5, 2, "x"), at(12, 4, 5, 2, "x"), true},
		{"deleted", at(9, 3, 5, 2, "x"), absent(10), false},
		{"gone and the revision is the same", at(9, 3, 5, 2, "x"), absent(9), true},
		{"deleted and made again", at(9, 3, 5, 2, "x"), at(12, 11, 11, 1, "x"), false},
		{"made again at a revision that had passed", at(9, 3, 5, 2, "x"), at(12, 8, 11, 2, "x"), true},
		{"made again at the revision that was the last", at(9, 3, 5, 2, "x"), at(12, 9, 11, 2, "x"), true},
		{"made", absent(9), at(12, 10, 10, 1, "x"), false},
		{"made at a revision that had passed", absent(9), at(12, 8, 8, 1, "x"), true},
		{"made before, and put since", absent(9), at(12, 8, 11, 2, "x"), true},
		{"made when it was absent", absent(9), at(12, 9, 10, 2, "x"), true},
		{"put, by a store that counts no versions", at(9, 3, 5, 0, "x"), at(12, 3, 11, 0, "y"), false},
		{"put, and versions are counted from now on", at(9, 3, 5, 0, "x"), at(12, 3, 11, 9, "y"), false},
		{"put, and versions are counted no more", at(9, 3, 5, 2, "x"), at(12, 3, 11, 0, "y"), false},
	} {
		if got := c.was.Contradicts(c.now); got != c.replaced {
			t.Errorf("%s: %+v and then %+v: replaced is %v, want %v", c.name, c.was, c.now, got, c.replaced)
		}
	}
}

func TestV4UpdatesBetweenTwoPositionsAreAGap(t *testing.T) {
	for _, c := range []struct {
		name     string
		was, now Position
		nothing  bool
	}{
		{"the same", at(9, 3, 5, 2, "x"), at(12, 3, 5, 2, "x"), true},
		{"one put", at(9, 3, 5, 2, "x"), at(12, 3, 11, 3, "y"), true},
		{"two puts", at(9, 3, 5, 2, "x"), at(12, 3, 11, 4, "y"), false},
		{"puts that are not counted", at(9, 3, 5, 0, "x"), at(12, 3, 11, 0, "y"), false},
		{"made again, with the version that is next", at(9, 3, 5, 1, "x"), at(12, 10, 11, 2, "y"), false},
		{"deleted at the next revision", at(9, 3, 5, 2, "x"), absent(10), true},
		{"deleted some time", at(9, 3, 5, 2, "x"), absent(11), false},
		{"made at the next revision", absent(9), at(10, 10, 10, 1, "x"), true},
		{"made some time", absent(9), at(11, 10, 10, 1, "x"), false},
		{"absent still", absent(9), absent(9), true},
		{"absent at the next revision", absent(9), absent(10), true},
		{"absent again, perhaps", absent(9), absent(11), false},
	} {
		if got := c.was.NothingBetween(c.now); got != c.nothing {
			t.Errorf("%s: between %+v and %+v nothing is %v, want %v", c.name, c.was, c.now, got, c.nothing)
		}
	}
}

func TestV16ASkippedVersionIsALostEvent(t *testing.T) {
	put := func(create, mod kv.Revision, version int64) kv.Event {
		return kv.Event{Type: kv.EventPut, Entry: kv.Entry{Key: "/a", CreateRevision: create, ModRevision: mod, Version: version}}
	}
	del := func(mod kv.Revision) kv.Event {
		return kv.Event{Type: kv.EventDelete, Entry: kv.Entry{Key: "/a", ModRevision: mod}}
	}
	there := at(9, 3, 5, 2, "x")
	for _, c := range []struct {
		name string
		was  Position
		next kv.Event
		lost bool
	}{
		{"the next version", there, put(3, 10, 3), false},
		{"the next version at the same revision", at(5, 3, 5, 2, "x"), put(3, 5, 3), false},
		{"a version is missing", there, put(3, 10, 4), true},
		{"the same version", there, put(3, 10, 2), true},
		{"the next version of another life", there, put(7, 10, 3), true},
		{"another life that begins", there, put(10, 10, 1), true},
		{"a revision that falls", there, put(3, 8, 3), true},
		{"a deletion", there, del(10), false},
		{"a deletion at a revision that falls", there, del(8), true},
		{"the first version", absent(9), put(10, 10, 1), false},
		{"the second version", absent(9), put(9, 10, 2), true},
		{"a first version that was made before", absent(9), put(9, 10, 1), true},
		{"a deletion of nothing", absent(9), del(10), true},
		{"a store that counts no versions, put", at(9, 0, 5, 0, "x"), put(0, 10, 0), false},
		{"a store that counts no versions, made", absent(9), put(0, 10, 0), false},
	} {
		p := c.was
		if err := p.follow(c.next); (err != nil) != c.lost || c.lost && !errors.Is(err, ErrLostEvent) {
			t.Errorf("%s: %+v and then the event %+v: the error is %v, want a lost event: %v", c.name, c.was, c.next, err, c.lost)
		}
	}
}

func TestV16AStreamHasPassedAnEventOnlyIfTheEventCanFollowItsLast(t *testing.T) {
	there := at(9, 3, 5, 2, "x")
	for _, c := range []struct {
		name     string
		was, now Position
		follows  bool
	}{
		{"the next put", there, at(12, 3, 8, 3, "y"), true},
		{"a later put", there, at(12, 3, 8, 7, "y"), true},
		{"the same put", there, at(12, 3, 5, 2, "x"), false},
		{"a newer version at the same revision", there, at(12, 3, 5, 3, "y"), false},
		{"an older version at a newer revision", there, at(12, 3, 8, 1, "y"), false},
		{"the same version at a newer revision", there, at(12, 3, 8, 2, "y"), false},
		{"a newer version at an older revision", there, at(12, 3, 4, 3, "y"), false},
		{"another life since", there, at(12, 6, 8, 2, "y"), true},
		{"another life that began with the last event", there, at(12, 5, 8, 2, "y"), false},
		{"another life that began before", there, at(12, 2, 8, 2, "y"), false},
		{"a read that is older", there, at(8, 3, 8, 3, "y"), false},
		{"a read of the same revision", there, at(9, 3, 8, 3, "y"), true},
		{"an absence before", absent(9), at(12, 8, 8, 1, "y"), false},
		{"an absence after", there, absent(12), false},
	} {
		if got := c.was.MayPrecede(c.now); got != c.follows {
			t.Errorf("%s: %+v and then %+v: it may follow is %v, want %v", c.name, c.was, c.now, got, c.follows)
		}
	}
}

func TestAPositionMovesUpToARevisionAndNoFurther(t *testing.T) {
	put := func(mod kv.Revision, version int64) kv.Event {
		return kv.Event{Type: kv.EventPut, Entry: kv.Entry{Key: "/a", CreateRevision: 3, ModRevision: mod, Version: version}}
	}
	b := kv.Batch{Revision: 20, Events: []kv.Event{put(10, 3), put(12, 4), put(14, 5)}}
	for upTo, want := range map[kv.Revision]int64{9: 2, 10: 3, 11: 3, 12: 4, 13: 4, 14: 5, 20: 5} {
		if got := OfKey("/a").UpTo(at(9, 3, 5, 2, "x"), b, upTo); got.Entry.Version != want {
			t.Errorf("after puts at 10, 12 and 14, the position up to revision %d has version %d, want %d", upTo, got.Entry.Version, want)
		}
	}
}
