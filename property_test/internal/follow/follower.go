package follow

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

// follower is one watcher and the goroutine that reads it.
type follower struct {
	crowd   *Crowd
	number  int
	mode    Mode
	value   *value.Value[int]
	watcher *value.Watcher[int]
	random  *rand.Rand
	ctx     context.Context
	stop    context.CancelFunc
	done    chan struct{} // closed when nothing more is told

	mu      sync.Mutex
	told    []Told
	changed chan struct{} // closed when told changes
	closed  bool          // by the crowd's will, before the end
}

// run reads until the follower is stopped.
func (f *follower) run() {
	defer close(f.done)
	defer f.watcher.Close()
	for f.ctx.Err() == nil {
		f.crowd.unsteady.jostle(f.ctx, f.random)
		t := f.get()
		if f.ctx.Err() != nil && t.What == Cancelled {
			return
		}
		f.note(t)
		if f.mode.Slow {
			f.rest()
		}
	}
}

// get is one Get, which impatient followers give up soon, and more than once.
func (f *follower) get() Told {
	ctx, cancel := f.ctx, context.CancelFunc(func() {})
	if f.mode.Impatient && f.random.IntN(3) > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(f.random.Int64N(int64(f.crowd.config.Pace))))
		if f.random.IntN(4) == 0 {
			cancel() // before it is begun
		}
	}
	defer cancel()
	var opts []value.GetOption[int]
	if f.mode.Filter {
		opts = append(opts, value.Where(Wanted))
	}
	got, err := f.watcher.Get(ctx, opts...)
	return told(ctx, f.mode, got, err, f.watcher.Revision())
}

// told is what a Get came to.
func told(ctx context.Context, mode Mode, got int, err error, revision kv.Revision) Told {
	var bad *value.DecodeError
	var gap *value.GapError
	var text badValue
	switch {
	case err == nil && mode.Default && got == Default, errors.Is(err, value.ErrDeleted):
		return Told{What: Deleted, Revision: revision}
	case err == nil:
		return Told{What: Value, Revision: revision, Text: strconv.Itoa(got)}
	case errors.As(err, &bad) && errors.As(err, &text) && bad.Revision == revision:
		return Told{What: BadValue, Revision: revision, Text: string(text)}
	case errors.As(err, &gap):
		return Told{What: Gap, From: gap.From, To: gap.To, Text: gap.Err.Error(),
			Reset: errors.Is(err, kv.ErrReset), Lost: errors.Is(err, value.ErrLostEvent)}
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return Told{What: Cancelled}
	case errors.Is(err, kv.ErrPermission):
		return Told{What: Refused}
	}
	return Told{What: Failed, Text: err.Error()}
}

func (f *follower) note(t Told) {
	f.crowd.config.Trace.note(f.number, t.What, t.Revision)
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.What == Cancelled && len(f.told) > 0 && f.told[len(f.told)-1].What == Cancelled {
		return
	}
	f.told = append(f.told, t)
	close(f.changed)
	f.changed = make(chan struct{})
}

// rest waits for a while, unless the crowd is in a hurry.
func (f *follower) rest() {
	timer := time.NewTimer(time.Duration(f.random.Int64N(int64(f.crowd.config.Pace) * 5)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.crowd.hurry:
	case <-f.ctx.Done():
	}
}

// await returns nil once the follower has been told what the key is at the end, u. It fails when ctx ends before.
func (f *follower) await(ctx context.Context, u Update) error {
	for {
		f.mu.Lock()
		r, changed := Record{Mode: f.mode, Told: f.told}, f.changed
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

func (f *follower) lastTold() Told {
	r := f.record()
	return r.last()
}

// record returns what was told so far.
func (f *follower) record() Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Record{Mode: f.mode, Told: f.told, Open: !f.closed}
}

// close closes the watcher and waits until its reader has ended.
func (f *follower) close() {
	f.stop()
	<-f.done
}
