package memory_test

import (
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestRequestedProgressIsDeliveredToWatchesThatAreNotBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1")
		put(t, s, "/b", "1")
		a := follow(t, s, kv.Key("/a"), 1)
		a.got(putAt("/a", "1", 2, 2, 1))
		never := follow(t, s, kv.Prefix("/never"), 0)
		present := follow(t, s, kv.All(), 3)
		behind := followSlowly(t, s, kv.All(), 0)
		behind.got(join(putAt("/a", "1", 2, 2, 1), putAt("/b", "1", 3, 3, 1)))

		progress(t, s)
		a.got(kv.Batch{Revision: 3})
		never.got(kv.Batch{Revision: 3})
		present.got() // this watch waits for revision 4, which is in the future

		put(t, s, "/b", "2")
		b2 := putAt("/b", "2", 3, 4, 2)
		present.got(b2)
		progress(t, s)
		a.got(kv.Batch{Revision: 4})
		never.got(kv.Batch{Revision: 4})
		present.got(kv.Batch{Revision: 4})

		// The busy consumer was behind at the second request, but not at the first. The bookmark comes before the change
		// after it.
		behind.resume()
		behind.got(kv.Batch{Revision: 3}, b2)
		for _, f := range []*follower{a, never, present, behind} {
			f.stop()
		}
	})
}

func progress(t *testing.T, s *memory.Store) {
	t.Helper()
	if err := s.RequestProgress(t.Context()); err != nil {
		t.Fatal(err)
	}
}
