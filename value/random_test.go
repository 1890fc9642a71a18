package value_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// story is one random course of writes and faults, with what the watchers have seen of it.
type story struct {
	*world
	random *rand.Rand
	steps  []string
	drop   *fault.Rule

	mu      sync.Mutex // held while the key is written
	number  int
	history []string // what the key was after each update: a number, or "" for a deletion
	at      map[kv.Revision]int
}

func (s *story) wrote(rev kv.Revision, v string) {
	s.at[rev] = len(s.history)
	s.history = append(s.history, v)
}

func (s *story) now() string {
	if len(s.history) == 0 {
		return ""
	}
	return s.history[len(s.history)-1]
}

// step does one random thing.
func (s *story) step() {
	type thing struct {
		name string
		do   func()
	}
	put := thing{"put", func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.number++
		n := strconv.Itoa(s.number)
		s.wrote(s.put(n), n)
	}}
	things := []thing{put, put, put, put, put,
		{"put many", func() {
			for range s.random.IntN(40) {
				put.do()
			}
		}},
		{"delete", func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.now() != "" {
				s.wrote(s.delete(), "")
			}
		}},
		{"other", func() { s.putOther() }},
		{"cut", func() { s.Cut() }},
		{"freeze", func() { s.Freeze() }},
		{"heal", func() { s.Heal() }},
		{"end", func() { s.EndStreams(kv.ErrUnavailable) }},
		{"end quietly", func() { s.EndStreams(nil) }},
		{"end compacted", func() { s.EndStreams(&kv.CompactedError{}) }},
		{"refuse watches", func() { s.Fail(s.random.IntN(4), kv.ErrPermission, fault.Watches) }},
		{"fail", func() { s.Fail(s.random.IntN(4), kv.ErrUnavailable, fault.Reads) }},
		{"silence", func() { s.Silence() }},
		{"delay", func() { s.Delay(time.Duration(s.random.IntN(3000))*time.Millisecond, fault.Watches, fault.Answered) }},
		{"duplicate", func() { s.Duplicate(s.random.IntN(3)) }},
		// Only deletions, one at a time: a put that is lost before a deletion, or a whole life of the key, leaves
		// nothing that the versions could prove.
		{"drop", func() {
			if s.drop != nil {
				s.drop.Remove()
			}
			s.drop = s.Drop(1, fault.Deletes)
		}},
		{"compact", func() { s.compact() }},
		{"settle", func() { s.settle() }},
		{"settle", func() { s.settle() }},
		{"pass", func() { s.pass(time.Duration(s.random.IntN(20_000)) * time.Millisecond) }},
	}
	t := things[s.random.IntN(len(things))]
	s.steps = append(s.steps, t.name)
	t.do()
}

// listener is one watcher of a story, in a goroutine that takes its time.
type listener struct {
	name   string
	every  bool
	wait   time.Duration
	last   int // the place in the history of what was seen last
	began  bool
	gap    bool // one was told, and nothing since
	gapTo  kv.Revision
	broken string
	done   chan struct{}
}

func (r *listener) run(s *story, a *value.Watcher[int], end *int) {
	defer close(r.done)
	for {
		got, err := get(s.world, a)
		var gap *value.GapError
		if errors.As(err, &gap) {
			// A key that was absent, and is again, is no news between two gaps.
			if !r.every || r.gap && gap.From < r.gapTo {
				r.broken = fmt.Sprintf("after a gap up to %d: %v", r.gapTo, err)
				return
			}
			r.gap, r.gapTo = true, gap.To
			continue
		}
		if err != nil && !errors.Is(err, value.ErrDeleted) {
			r.broken = fmt.Sprintf("Get returned the error %v", err)
			return
		}
		// A deletion found by a read has a revision by which it had happened.
		s.mu.Lock()
		place, ok := s.at[a.Revision()]
		if err != nil && !ok {
			for rev, p := range s.at {
				if rev <= a.Revision() && (!ok || p > place) {
					place, ok = p, true
				}
			}
		}
		want := ""
		if ok {
			want = s.history[place]
		}
		last := *end
		s.mu.Unlock()
		is := ""
		if err == nil {
			is = strconv.Itoa(got)
		}
		switch {
		case !ok || want != is:
			r.broken = fmt.Sprintf("%q of revision %d, where the key was %q", is, a.Revision(), want)
		case r.began && place <= r.last:
			r.broken = fmt.Sprintf("back from update %d to %d", r.last, place)
		case r.every && r.began && !r.gap && place != r.last+1:
			r.broken = fmt.Sprintf("from update %d to %d without a gap: %q at %d", r.last, place, s.history[max(0, r.last-1):place+1], a.Revision())
		}
		if r.broken != "" {
			return
		}
		r.last, r.began, r.gap = place, true, false
		if place == last {
			return
		}
		time.Sleep(r.wait)
	}
}

func TestV4V5RandomStories(t *testing.T) {
	stories := 300
	if testing.Short() {
		stories = 30
	}
	for seed := range stories {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			const promise = "V3, V4, V5: each watcher ends at the newest, none goes back, and each update comes once or there is one gap"
			inBubble(t, promise, func(w *world) {
				w.patient = 100 * time.Hour
				s := &story{world: w, random: rand.New(rand.NewPCG(uint64(seed), 1)), at: map[kv.Revision]int{}}
				s.wrote(w.put("0"), "0")
				v := w.number(value.WithBacklog(1 + s.random.IntN(30)))
				end := -1
				var readers []*listener
				for i, wait := range []time.Duration{0, time.Second, 5 * time.Second, 0, time.Second, 5 * time.Second} {
					r := &listener{name: fmt.Sprintf("reader %d (%v)", i, wait), every: i < 3, wait: wait, done: make(chan struct{})}
					readers = append(readers, r)
					var opts []value.WatchOption
					if r.every {
						opts = modes["every"]
					}
					go r.run(s, watch(w, v, opts...), &end)
				}
				w.settle()
				for range 150 {
					s.step()
				}
				w.Clear()
				w.EndStreams(kv.ErrUnavailable) // those that were silenced
				w.pass(2 * time.Minute)
				s.mu.Lock()
				end = len(s.history)
				s.number++
				s.wrote(w.put(strconv.Itoa(s.number)), strconv.Itoa(s.number))
				s.mu.Unlock()
				for _, r := range readers {
					<-r.done
					if r.broken != "" {
						w.broken("%s: %s\nafter %s", r.name, r.broken, strings.Join(s.steps, ", "))
					}
				}
			})
		})
	}
}
