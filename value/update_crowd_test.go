package value_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

const writers = 16

// tally is a count that sixteen writers share, with the name of the last writer.
type tally struct {
	N      int
	Writer int `json:",omitempty"`
	Turn   int `json:",omitempty"`
}

// updates counts the outcomes of the calls of sixteen writers.
type updates struct {
	sync.Mutex
	done, unknown int
}

// write makes all writers update concurrently, while one of four requests and one of four acknowledgements is lost.
func (c *updates) write(w *world, update func(ctx context.Context, writer, turn int) error) {
	seed := rand.Uint64()
	w.Logf("seed %d", seed)
	source := rand.New(rand.NewPCG(seed, 0))
	w.Fail(-1, kv.ErrUnavailable, fault.Puts, oneIn{4, source})
	w.Fail(-1, kv.ErrUnavailable, fault.Puts, fault.Answered, oneIn{4, source})
	if w.InBubble() {
		w.Delay(time.Millisecond, fault.Puts) // so that the writes overlap
	}
	ctx, cancel := context.WithTimeout(w.Context(), 10*w.Patience())
	defer cancel()
	var crowd sync.WaitGroup
	for writer := range writers {
		crowd.Go(func() {
			for turn := range c.turns(w) {
				err := update(ctx, writer+1, turn+1)
				c.Lock()
				switch {
				case err == nil:
					c.done++
				case errors.Is(err, value.ErrOutcomeUnknown):
					c.unknown++
				default:
					w.Errorf("\npromised: %s\nhappened: %v", w.promise, err)
				}
				c.Unlock()
			}
		})
	}
	crowd.Wait()
	w.Clear()
	w.Logf("%d updates were made, %d are unknown; %d writes were sent", c.done, c.unknown, w.Counts().Puts)
}

func (c *updates) turns(w *world) int {
	if w.InBubble() && !testing.Short() {
		return 100
	}
	return 20
}

// oneIn matches one of n calls, at random.
type oneIn struct {
	n      int
	source *rand.Rand // used while the faults are locked
}

func (m oneIn) Matches(fault.Call) bool { return m.source.IntN(m.n) == 0 }
func (m oneIn) String() string          { return fmt.Sprintf("one in %d", m.n) }

func stored[T any](w *world, codec value.Codec[T]) T {
	e, err := kv.GetKey(w.Context(), w.backend, w.key)
	w.must(err)
	v, err := codec.Decode(e.Value)
	w.must(err)
	return v
}

func TestSixteenWritersLoseNoUpdateExceptUnknownOutcomes(t *testing.T) {
	each(t, "each update is made exactly once, or its call reports that the outcome is unknown", func(w *world) {
		codec := value.JSONCodec[tally]()
		w.put(`{"N":0}`)
		var c updates
		c.write(w, func(ctx context.Context, _, _ int) error {
			_, err := value.Update(ctx, w.Store, w.key, codec, func(old tally, _ bool) (tally, error) {
				old.N++
				return old, nil
			})
			return err
		})
		if n := stored(w, codec).N; n < c.done || n > c.done+c.unknown {
			w.broken("the sum is %d; %d updates were reported as made and %d as unknown", n, c.done, c.unknown)
		}
		if c.unknown == 0 || c.done == 0 {
			w.broken("the test itself: %d updates were made and %d are unknown", c.done, c.unknown)
		}
	})
}

func TestSixteenDistinctWritersLoseNoUpdate(t *testing.T) {
	each(t, "each update is made exactly once, and each call knows", func(w *world) {
		codec := value.JSONCodec[tally]()
		w.put(`{"N":0}`)
		var c updates
		c.write(w, func(ctx context.Context, writer, turn int) error {
			_, err := value.Update(ctx, w.Store, w.key, codec, func(old tally, _ bool) (tally, error) {
				return tally{N: old.N + 1, Writer: writer, Turn: turn}, nil
			}, value.Distinct())
			return err
		})
		if n := stored(w, codec).N; n != writers*c.turns(w) || c.unknown != 0 {
			w.broken("the sum is %d after %d updates, of which %d are unknown", n, writers*c.turns(w), c.unknown)
		}
	})
}

func TestSixteenIdempotentWritersLoseNoUpdate(t *testing.T) {
	each(t, "a name that is added once or several times is in the list once in the end", func(w *world) {
		codec := value.JSONCodec[[]string]()
		var c updates
		c.write(w, func(ctx context.Context, writer, turn int) error {
			name := fmt.Sprint(writer, "/", turn)
			_, err := value.Update(ctx, w.Store, w.key, codec, func(old []string, _ bool) ([]string, error) {
				if i, found := slices.BinarySearch(old, name); !found {
					old = slices.Insert(old, i, name)
				}
				return old, nil
			}, value.Idempotent())
			return err
		})
		list := stored(w, codec)
		if n := len(slices.Compact(slices.Clone(list))); n != len(list) || n != writers*c.turns(w) || c.unknown != 0 {
			w.broken("the list has %d names, %d of them different; %d were added, and the outcome of %d is unknown", len(list), n, writers*c.turns(w), c.unknown)
		}
	})
}
