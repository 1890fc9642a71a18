package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// Limits is the configuration that is watched.
type Limits struct {
	RPS int `json:"rps"`
}

// reader is a goroutine that reads a watcher, as a program would, and records what each Get returned.
type reader struct {
	watcher *value.Watcher[Limits]
	cancel  context.CancelFunc
	done    chan struct{}

	busy sync.RWMutex // locked to keep the reader busy with its last value

	mu      sync.Mutex
	seen    []sighting
	shown   int           // how many entries of seen were printed
	failed  error         // an unexpected error of a Get
	changed chan struct{} // closed when one of the fields above changes
}

// sighting is what one Get returned.
type sighting struct {
	text     string
	revision kv.Revision
}

func read(w *value.Watcher[Limits]) *reader {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{watcher: w, cancel: cancel, done: make(chan struct{}), changed: make(chan struct{})}
	go func() {
		defer close(r.done)
		for limits, err := range w.Updates(ctx) {
			if ctx.Err() != nil {
				return
			}
			r.saw(limits, err)
			r.work()
		}
	}()
	return r
}

// work blocks while the reader has to be busy.
func (r *reader) work() {
	r.busy.RLock()
	defer r.busy.RUnlock()
}

// saw records what a Get has returned.
func (r *reader) saw(limits Limits, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var bad *value.DecodeError
	var gap *value.GapError
	text := ""
	switch {
	case err == nil:
		text = strconv.Itoa(limits.RPS)
	case errors.Is(err, value.ErrDeleted):
		text = "deleted"
	case errors.As(err, &bad):
		text = "bad value"
	case errors.As(err, &gap):
		text = "gap"
	default:
		r.failed = err
	}
	if text != "" {
		r.seen = append(r.seen, sighting{text, r.watcher.Revision()})
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// reach waits until the reader has returned revision rev or a later one.
func (r *reader) reach(ctx context.Context, rev kv.Revision) error {
	for {
		r.mu.Lock()
		last, failed, changed := r.last(), r.failed, r.changed
		r.mu.Unlock()
		switch {
		case failed != nil:
			return failed
		case last.revision >= rev:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("a watcher at revision %d has not reached %d: %w", last.revision, rev, context.Cause(ctx))
		}
	}
}

// last returns what was seen last. The caller holds mu.
func (r *reader) last() sighting {
	if len(r.seen) == 0 {
		return sighting{}
	}
	return r.seen[len(r.seen)-1]
}

// all returns everything that was seen.
func (r *reader) all() []sighting {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// news returns what was seen since the last call, for a cell of the table. The key is at revision newest.
func (r *reader) news(newest kv.Revision) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	texts := texts(r.seen[r.shown:])
	r.shown = len(r.seen)
	switch {
	case len(texts) == 0 && (newest == 0 || r.last().revision < newest):
		return "waits"
	case len(texts) > 4 && areConsecutive(texts):
		return texts[0] + " to " + texts[len(texts)-1]
	}
	return strings.Join(texts, " ")
}

func texts(seen []sighting) []string {
	var all []string
	for _, s := range seen {
		all = append(all, s.text)
	}
	return all
}

func areConsecutive(texts []string) bool {
	first, err := strconv.Atoi(texts[0])
	for i, text := range texts {
		if err != nil || text != strconv.Itoa(first+i) {
			return false
		}
	}
	return true
}

// close ends the goroutine and closes the watcher. It may be called more than once.
func (r *reader) close() {
	r.cancel()
	<-r.done
	r.watcher.Close()
}
