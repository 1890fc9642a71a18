package judge

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// reader is one watcher and the goroutine that reads it.
type reader struct {
	watchers *Watchers
	number   int
	mode     Mode
	value    *value.Value[int]
	watcher  *value.Watcher[int]
	random   *rand.Rand
	ctx      context.Context
	stop     context.CancelFunc
	done     chan struct{} // closed when nothing more is returned

	mu       sync.Mutex
	returned []Returned
	changed  chan struct{} // closed when returned changes
	closed   bool          // by the watchers's will, before the end
}

// run reads until the reader is stopped.
func (f *reader) run() {
	defer close(f.done)
	defer f.watcher.Close()
	for f.ctx.Err() == nil {
		f.watchers.unsteady.jostle(f.ctx, f.random)
		t := f.get()
		if f.ctx.Err() != nil && t.What == Cancelled {
			return
		}
		f.note(t)
		if f.mode.Slow {
			rest(f.ctx, f.random, f.watchers.config.Pace, f.watchers.hurry)
		}
	}
}

// get is one Get, which impatient followers give up soon, and more than once.
func (f *reader) get() Returned {
	ctx, cancel := f.mode.limit(f.ctx, f.random, f.watchers.config.Pace)
	defer cancel()
	var opts []value.GetOption[int]
	if f.mode.Filter {
		opts = append(opts, value.Where(Wanted))
	}
	got, err := f.watcher.Get(ctx, opts...)
	return returned(ctx, f.mode, got, err, f.watcher.Revision())
}

// limit returns the context of one Get.
func (m Mode) limit(ctx context.Context, random *rand.Rand, pace time.Duration) (context.Context, context.CancelFunc) {
	if !m.Impatient || random.IntN(3) == 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(random.Int64N(int64(pace))))
	if random.IntN(4) == 0 {
		cancel() // before it is begun
	}
	return ctx, cancel
}

// returned describes what a Get returned.
func returned(ctx context.Context, mode Mode, got int, err error, revision kv.Revision) Returned {
	var bad *value.DecodeError
	var gap *value.GapError
	var text badValue
	switch {
	case err == nil && mode.Default && got == Default, errors.Is(err, value.ErrDeleted):
		return Returned{What: Deleted, Revision: revision}
	case err == nil:
		return Returned{What: Value, Revision: revision, Text: strconv.Itoa(got)}
	case errors.As(err, &bad) && errors.As(err, &text) && bad.Revision == revision:
		return Returned{What: BadValue, Revision: revision, Text: string(text)}
	case errors.As(err, &gap):
		return Returned{What: Gap, From: gap.From, To: gap.To, Text: gap.Err.Error(),
			Reset: errors.Is(err, kv.ErrReset), Lost: errors.Is(err, value.ErrLostEvent)}
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return Returned{What: Cancelled}
	case errors.Is(err, kv.ErrPermission):
		return Returned{What: Refused}
	}
	return Returned{What: Failed, Text: err.Error()}
}

func (f *reader) note(t Returned) {
	f.watchers.config.Trace.note(f.number, t.What, t.Revision)
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.What == Cancelled && len(f.returned) > 0 && f.returned[len(f.returned)-1].What == Cancelled {
		return
	}
	f.returned = append(f.returned, t)
	close(f.changed)
	f.changed = make(chan struct{})
}

// rest waits for a while, unless there is a hurry.
func rest(ctx context.Context, random *rand.Rand, pace time.Duration, hurry <-chan struct{}) {
	timer := time.NewTimer(time.Duration(random.Int64N(int64(pace) * 5)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-hurry:
	case <-ctx.Done():
	}
}

// await returns nil once the reader has returned what the key is at the end, u. It fails when ctx ends before.
func (f *reader) await(ctx context.Context, u Update) error {
	for {
		f.mu.Lock()
		r, changed := Record{Mode: f.mode, Returned: f.returned}, f.changed
		f.mu.Unlock()
		if r.ends(u) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *reader) lastReturned() Returned {
	r := f.record()
	return r.last()
}

// record returns what was returned so far.
func (f *reader) record() Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Record{Mode: f.mode, Returned: f.returned, Open: !f.closed}
}

// close closes the watcher and waits until its reader has ended.
func (f *reader) close() {
	f.stop()
	<-f.done
}
