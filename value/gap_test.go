package value_test

import (
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

func TestV4OneGapWhenWhatWasMissedIsCompacted(t *testing.T) {
	each(t, oneGap, func(w *world) {
		a := w.everyFrom(1)
		seen := a.Revision()
		w.Streaming(1)
		last := w.losesForGood(2, 9)
		a.HasGap(seen, last, kv.ErrCompacted)
		a.GivesEach(9)
		a.HasNothing()
		w.putsArrive(a, 10, 12)
	})
}

func TestV4OneGapWhenTheBacklogAndTheHistoryAreGone(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		w.putNumbers(1, 1)
		v := w.number(value.WithBacklog(3))
		a, fast := watch(w, v, value.EveryUpdate()), watch(w, v, value.EveryUpdate())
		a.GivesEach(1)
		fast.GivesEach(1)
		seen := a.Revision()
		for i := 2; i <= 50; i++ {
			w.putNumbers(i, i)
			fast.GivesEach(i)
		}
		w.compact()
		w.Settle()
		a.HasGap(seen, fast.Revision(), kv.ErrCompacted)
		a.GivesEach(50)
		w.putsArrive(a, 51, 52)
		fast.GivesEach(numbers(51, 52)...)
	})
}

func TestV4NothingAfterAGapIsMissed(t *testing.T) {
	const promise = "V4, after a *GapError a watcher continues with what the key was at its To, and misses nothing more"
	t.Run("an outage", func(t *testing.T) {
		each(t, promise, func(w *world) {
			a := w.everyFrom(1, value.WithBacklog(2))
			seen := a.Revision()
			w.Streaming(1)
			last := w.losesForGood(2, 9)
			a.HasGap(seen, last, kv.ErrCompacted)
			w.putNumbers(10, 30) // before the next Get
			w.Settle()
			a.GivesEach(numbers(9, 30)...)
		})
	})
	t.Run("far behind", func(t *testing.T) {
		inBubble(t, promise, func(w *world) {
			a := w.everyFrom(1, value.WithBacklog(2))
			seen := a.Revision()
			last := w.putNumbers(2, 9)
			w.Settle()
			w.compact()
			a.HasGap(seen, last, kv.ErrCompacted)
			w.putNumbers(10, 30)
			w.Settle()
			a.GivesEach(numbers(9, 30)...)
		})
	})
	t.Run("a replaced history", func(t *testing.T) {
		inBubble(t, promise, func(w *world) {
			w.putNumbers(1, 1)
			w.backup()
			w.putNumbers(2, 9)
			a := watch(w, w.number(value.WithBacklog(2)), value.EveryUpdate())
			a.GivesEach(9)
			w.restore()
			a.HasGap(10, 2, kv.ErrReset)
			w.putNumbers(2, 30)
			w.Settle()
			a.Gives(1)
			a.GivesEach(numbers(2, 30)...)
		})
	})
}

func TestV4UpdatesDuringAnOutageAreReturned(t *testing.T) {
	each(t, outages, func(w *world) {
		a := w.everyFrom(1, value.WithBacklog(8))
		w.Streaming(1)
		w.Fail(3, kv.ErrUnavailable, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		w.putsArrive(a, 2, 100)
		a.HasNothing()
		w.EndStreams(kv.ErrUnavailable)
		w.delete()
		w.putNumbers(101, 102)
		a.Fails(value.ErrDeleted)
		a.GivesEach(numbers(101, 102)...)
	})
}

func TestV4NoGapWhenAnIdleWatchIsEndedByACompaction(t *testing.T) {
	each(t, noGap, func(w *world) {
		a := w.everyFrom(1)
		w.Streaming(1)
		w.Cut()
		for range 10 {
			w.compact() // forgets history of another key
		}
		before := w.Counts().Watches
		w.Heal()
		w.Until("the store was read and watched again", func(c fault.Counts) bool { return c.Watches > before })
		w.Settle()
		a.HasNothing()
		w.putsArrive(a, 2, 3)
	})
}

func TestV4NoGapWhenOnlyTheLastUpdateWasMissed(t *testing.T) {
	each(t, noGap, func(w *world) {
		a := w.everyFrom(1)
		w.Streaming(1)
		w.losesForGood(2, 2)
		a.GivesEach(2) // its version shows that nothing is missing before it
		w.putsArrive(a, 3, 3)
	})
}

func TestV4AGapEndsWhereTheWatcherContinues(t *testing.T) {
	inBubble(t, "V4, a *GapError covers all updates that may be lost", func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(1))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		seen := a.Revision()
		w.putNumbers(1, 5)
		w.delete()
		w.Settle()
		w.Cut(fault.Watches)
		w.putNumbers(6, 6) // no watcher sees that the key existed again
		w.delete()
		last := w.compact()
		w.Heal()
		w.Settle()
		a.HasGap(seen, last, kv.ErrCompacted)
		a.Fails(value.ErrDeleted)
		if a.Revision() != last {
			w.broken("Revision is %d, but the watcher continues from %d", a.Revision(), last)
		}
		w.putsArrive(a, 7, 8)
	})
}

func TestV4NoGapForAWatcherAheadOfALostWatch(t *testing.T) {
	each(t, noGap, func(w *world) {
		v := w.number()
		watch(w, v)
		w.Streaming(1)
		w.Cut(fault.Watches)
		w.putNumbers(1, 1)
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(1) // from a read: the watch has delivered nothing
		w.compact()
		w.putNumbers(2, 2)
		w.Heal()
		a.GivesEach(2) // its version shows that nothing is missing before it
		w.putsArrive(a, 3, 3)
	})
}

func TestV4HistoryKeptByNumber(t *testing.T) {
	inBubble(t, "V4, every update or one honest gap", func(w *world) {
		m := memory.New(memory.WithHistory(100))
		put := func(n string) {
			_, err := m.Put(w.Context(), w.key, []byte(n))
			w.must(err)
		}
		put("0")
		v := value.New(m, w.key, value.JSON[int], value.WithBacklog(10))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		for range 1000 {
			put("1")
			w.Settle()
		}
		a.HasGap(2, 1002, kv.ErrCompacted)
		a.GivesEach(1)
		a.HasNothing()
	})
}

func TestV4AGapMayEndInADeletion(t *testing.T) {
	each(t, oneGap, func(w *world) {
		a := w.everyFrom(1)
		seen := a.Revision()
		w.Streaming(1)
		to := w.losesALifeForGood(2, 3)
		a.HasGap(seen, to, kv.ErrCompacted)
		a.Fails(value.ErrDeleted)
		if a.Revision() != to {
			w.broken("Revision is %d, but the gap ended at %d", a.Revision(), to)
		}
		a.HasNothing()
		w.putsArrive(a, 4, 5)
	})
}
