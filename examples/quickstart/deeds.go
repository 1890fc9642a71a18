package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// put sets the key to a number of requests per second.
func (s *story) put(rps int) deed {
	text := strconv.Itoa(rps)
	return s.write("put "+text, text, fmt.Sprintf(`{"rps":%d}`, rps))
}

// putBad sets the key to a value that does not decode.
func (s *story) putBad() deed {
	return s.write(`put "fifty", which does not decode`, "bad value", `{"rps":"fifty"}`)
}

// write sets the key to encoded, which readers show as text.
func (s *story) write(name, text, encoded string) deed {
	return deed{name, func(ctx context.Context) error {
		rev, err := s.writer.Put(ctx, s.key, []byte(encoded))
		s.newest, s.updates = rev, append(s.updates, text)
		return err
	}}
}

func (s *story) remove() deed {
	return deed{"delete the key", func(ctx context.Context) error {
		rev, err := s.writer.Delete(ctx, s.key)
		s.newest, s.updates = rev, append(s.updates, "deleted")
		return err
	}}
}

// compact makes the store forget all updates except the newest.
func (s *story) compact(f *faults) deed {
	return deed{"compact the history", func(ctx context.Context) error { return f.compact(ctx, s.newest) }}
}

// burst puts all numbers from first to last. During that time, the readers of the newest value in programs are busy with the first number.
func (s *story) burst(first, last int, programs ...program) deed {
	name := fmt.Sprintf(`put %d to %d, "newest" busy with %[1]d`, first, last)
	return deed{name, func(ctx context.Context) error {
		for _, p := range programs {
			p.newest.busy.Lock()
			defer p.newest.busy.Unlock()
		}
		err := s.put(first).do(ctx)
		for _, p := range programs {
			err = errors.Join(err, p.newest.reach(ctx, s.newest))
		}
		for rps := first + 1; rps <= last && err == nil; rps++ {
			err = s.put(rps).do(ctx)
		}
		for _, p := range programs {
			err = errors.Join(err, p.every.reach(ctx, s.newest))
		}
		return err
	}}
}

// check checks what must hold for all readers in the end. The readers in complete asked for every update and missed no compacted history. So they must
// have seen every update.
func (s *story) check(complete ...*reader) error {
	for i, r := range s.readers {
		seen := r.all()
		if got := seen[len(seen)-1].text; got != s.last() {
			return fmt.Errorf("watcher %d ended at %s, not at the newest value, %s", i+1, got, s.last())
		}
		for n := 1; n < len(seen); n++ {
			if seen[n].revision < seen[n-1].revision {
				return fmt.Errorf("watcher %d went back: it saw %v", i+1, seen)
			}
		}
	}
	for _, r := range complete {
		if got := texts(r.all()); !slices.Equal(got, s.updates) {
			return fmt.Errorf("a watcher of every update saw only %q of %q", got, s.updates)
		}
	}
	return nil
}

// last is the newest update of the key.
func (s *story) last() string { return s.updates[len(s.updates)-1] }
