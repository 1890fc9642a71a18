package backend_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

// log is a history in memory, with the faults that a test needs.
type log struct {
	mu      sync.Mutex
	events  []kv.Event
	last    kv.Revision
	page    int           // the most revisions of a page; zero is without limit
	note    bool          // the next page asks for a bookmark
	silent  bool          // Wait does not return when there is more
	grown   chan struct{} // closed, and replaced, when there is more
	reads   int
	reading func() // called by Read
	fail    error
}

func newLog() *log { return &log{grown: make(chan struct{})} }

// put makes a revision with a put of each key.
func (l *log) put(keys ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	for _, key := range keys {
		l.events = append(l.events, kv.Event{Entry: kv.Entry{Key: key, CreateRevision: l.last, ModRevision: l.last, Version: 1}})
	}
	l.wake()
}

// wake is called with mu held.
func (l *log) wake() {
	if !l.silent {
		close(l.grown)
		l.grown = make(chan struct{})
	}
}

func (l *log) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
	l.wake()
}

func (l *log) Read(ctx context.Context, after kv.Revision) (backend.Page, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.reading != nil {
		l.reading()
	}
	page := backend.Page{UpTo: l.last, Bookmark: l.note}
	l.note = false
	if l.page > 0 && l.last > after+kv.Revision(l.page) {
		page.UpTo, page.More = after+kv.Revision(l.page), true
	}
	for _, e := range l.events {
		if e.ModRevision > after && e.ModRevision <= page.UpTo {
			page.Events = append(page.Events, e)
		}
	}
	return page, l.fail
}

func (l *log) Wait(ctx context.Context, after kv.Revision) error {
	l.mu.Lock()
	grown, more := l.grown, l.last > after || l.note || l.fail != nil
	l.mu.Unlock()
	if more {
		return nil
	}
	select {
	case <-grown:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *log) readCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads
}

// running is a watch whose batches are collected.
type running struct {
	mu      sync.Mutex
	batches []kv.Batch
	err     error
	ended   bool
	stop    context.CancelFunc
}

// start runs a watch in a bubble.
func start(t *testing.T, w backend.Watch, r kv.Range, after kv.Revision) *running {
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	run := &running{stop: stop}
	go func() {
		for batch, err := range w.Batches(ctx, r, after) {
			run.mu.Lock()
			run.batches, run.err = append(run.batches, batch), err
			run.mu.Unlock()
		}
		run.mu.Lock()
		run.ended = true
		run.mu.Unlock()
	}()
	synctest.Wait()
	return run
}

// expect compares all batches, up to now, with lines such as "3 a@2 b@3" for a batch of revision 3.
func (r *running) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := lines(r.batches); !slices.Equal(got, want) {
		t.Errorf("the watch has yielded %q, want %q", got, want)
	}
	if r.ended {
		t.Errorf("the watch has ended: %v", r.err)
	}
}

// expectEnd requires that the watch has ended with an error, and a zero batch.
func (r *running) expectEnd(t *testing.T, want error) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended || !errors.Is(r.err, want) {
		t.Errorf("the watch has ended: %v, with the error %v, want %v", r.ended, r.err, want)
	} else if last := r.batches[len(r.batches)-1]; last.Revision != 0 || last.Events != nil {
		t.Errorf("with its error the watch yielded the batch %v", last)
	}
}

func lines(batches []kv.Batch) []string {
	var lines []string
	for _, b := range batches {
		line := revision(b.Revision)
		for _, e := range b.Events {
			line += " " + e.Key + "@" + revision(e.ModRevision)
		}
		lines = append(lines, line)
	}
	return lines
}

func revision(r kv.Revision) string { return string(rune('0' + r)) }

func TestW2ToW4EveryEventComesOnceAndInOrder(t *testing.T) {
	for _, size := range []int{0, 1, 2} {
		synctest.Test(t, func(t *testing.T) {
			l := newLog()
			l.page = size
			for range 4 {
				l.put("a")
			}
			run := start(t, backend.Watch{Log: l}, kv.All(), 1)
			l.put("a", "b")
			run.expect(t, map[int][]string{
				0: {"4 a@2 a@3 a@4", "5 a@5 b@5"},
				1: {"2 a@2", "3 a@3", "4 a@4", "5 a@5 b@5"},
				2: {"3 a@2 a@3", "4 a@4", "5 a@5 b@5"},
			}[size]...)
		})
	}
}

func TestW7W10OtherKeysAreDroppedAndABookmarkFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		l.put("a")
		l.put("b")
		run := start(t, backend.Watch{Log: l}, kv.Key("a"), 0)
		run.expect(t, "1 a@1", "2")
		l.put("b")
		run.expect(t, "1 a@1", "2", "3")
	})
}

func TestW7ABookmarkWaitsForItsIntervalAndForPendingPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		l.page = 1
		run := start(t, backend.Watch{Log: l, Bookmarks: time.Second}, kv.Key("a"), 0)
		l.put("a")
		l.put("b")
		run.expect(t, "1 a@1")
		time.Sleep(500 * time.Millisecond)
		l.put("b")
		run.expect(t, "1 a@1")
		time.Sleep(500 * time.Millisecond)
		run.expect(t, "1 a@1", "3")
		reads := l.readCount()
		time.Sleep(time.Hour)
		run.expect(t, "1 a@1", "3")
		if l.readCount() != reads {
			t.Error("an idle watch without a time to poll has read again")
		}
	})
}

func TestARequestedBookmarkIsDeliveredEvenWithoutProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		run := start(t, backend.Watch{Log: l, Bookmarks: time.Hour}, kv.All(), 0)
		l.put("a")
		run.expect(t, "1 a@1")
		l.mu.Lock()
		l.note = true
		l.wake()
		l.mu.Unlock()
		run.expect(t, "1 a@1", "1")
	})
}

func TestW9FutureRevisionsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		run := start(t, backend.Watch{Log: l}, kv.All(), 2)
		l.put("a")
		run.expect(t)
		l.put("a")
		run.expect(t)
		l.put("a")
		run.expect(t, "3 a@3")
	})
}

func TestAWatchWithoutNotificationsPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		l.silent = true
		run := start(t, backend.Watch{Log: l, Poll: time.Second}, kv.All(), 0)
		l.put("a")
		run.expect(t)
		time.Sleep(time.Second)
		run.expect(t, "1 a@1")
	})
}

func TestW8TheErrorOfTheLogEndsTheWatchAsAnErrorOfPackageKV(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		run := start(t, backend.Watch{Log: l, Errors: backend.Errors{Store: "test"}}, kv.Key("a"), 0)
		l.end(&kv.CompactedError{Oldest: 7})
		run.expectEnd(t, kv.ErrCompacted)
		if want := `test: watch "a" after 0: history compacted: the oldest revision kept is 7`; run.err.Error() != want {
			t.Errorf("the error is %q, want %q", run.err, want)
		}

		run = start(t, backend.Watch{Log: l}, kv.Range{}, 0)
		run.expectEnd(t, kv.ErrInvalidRange)
		run = start(t, backend.Watch{Log: l}, kv.All(), -1)
		run.expectEnd(t, kv.ErrInvalidRange)
	})
}

func TestW11NothingIsReadWhileTheConsumerIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		l.page = 1
		l.put("a")
		for range (backend.Watch{Log: l}).Batches(t.Context(), kv.All(), 0) {
			l.put("a")
			time.Sleep(time.Hour)
			if l.readCount() != 1 {
				t.Errorf("%d pages were read for a consumer that has one batch, want 1", l.reads)
			}
			break
		}
		if l.readCount() != 1 {
			t.Errorf("%d pages were read after the consumer has stopped, want 1", l.reads)
		}
	})
}

func TestW12CancellingTheContextEndsTheWatchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []time.Duration{0, time.Minute} {
			l := newLog()
			waiting := start(t, backend.Watch{Log: l, Poll: limit}, kv.All(), 0)
			begin := time.Now()
			waiting.stop()
			waiting.expectEnd(t, context.Canceled)
			if d := time.Since(begin); d > 0 {
				t.Errorf("the watch has ended %v late", d)
			}
		}

		l := newLog()
		l.put("a")
		ctx, cancel := context.WithCancel(t.Context())
		l.reading = cancel
		for batch, err := range (backend.Watch{Log: l}).Batches(ctx, kv.All(), 0) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the context ended while the history was read, and the watch yields %v, %v", batch, err)
			}
		}
	})
}

func TestAnInvalidPageEndsTheWatch(t *testing.T) {
	event := func(rev kv.Revision) kv.Event { return kv.Event{Entry: kv.Entry{Key: "a", ModRevision: rev}} }
	for name, page := range map[string]backend.Page{
		"no progress":     {UpTo: 5, More: true},
		"old":             {UpTo: 7, Events: []kv.Event{event(5)}},
		"ahead":           {UpTo: 7, Events: []kv.Event{event(8)}},
		"out of order":    {UpTo: 9, Events: []kv.Event{event(8), event(7)}},
		"old, of another": {UpTo: 7, Events: []kv.Event{{Entry: kv.Entry{Key: "b", ModRevision: 4}}}},
	} {
		yielded := 0
		for _, err := range (backend.Watch{Log: fixed(page)}).Batches(t.Context(), kv.Key("a"), 5) {
			if yielded++; !errors.Is(err, kv.ErrUnavailable) {
				t.Errorf("%s: the watch yields the error %v, want one that matches ErrUnavailable", name, err)
				break
			}
		}
		if yielded != 1 {
			t.Errorf("%s: the watch yields %d pairs, want its error alone", name, yielded)
		}
	}
}

// fixed is a log that has one page.
type fixed backend.Page

func (f fixed) Read(context.Context, kv.Revision) (backend.Page, error) { return backend.Page(f), nil }
func (f fixed) Wait(ctx context.Context, _ kv.Revision) error           { <-ctx.Done(); return ctx.Err() }

func TestBegunIsCalledOnceWhenTheFirstReadHasSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, begun := newLog(), 0
		w := backend.Watch{Log: l, Begun: func() {
			if begun++; l.reads != 1 {
				t.Errorf("Begun is called after %d reads, want 1", l.reads)
			}
		}}
		run := start(t, w, kv.All(), 0)
		l.put("a")
		run.expect(t, "1 a@1")
		if begun != 1 {
			t.Errorf("Begun was called %d times, want once", begun)
		}

		l.end(kv.ErrUnavailable)
		begun = 0
		start(t, w, kv.All(), 0).expectEnd(t, kv.ErrUnavailable)
		if begun != 0 {
			t.Error("Begun was called for a watch that was refused")
		}
	})
}

func TestEachIterationIsASeparateWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		l.put("a")
		batches := (backend.Watch{Log: l}).Batches(t.Context(), kv.All(), 0)
		for range 2 {
			for batch := range batches {
				if got := lines([]kv.Batch{batch}); got[0] != "1 a@1" {
					t.Errorf("an iteration begins with %q", got)
				}
				break
			}
		}
	})
}
