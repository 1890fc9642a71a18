package pgkv_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/examples/pgkv"
	"github.com/watchkv/watchkv/examples/pgkv/pgtest"
	"github.com/watchkv/watchkv/internal/judge"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// ground is the store to which the judge writes. A write has a timeout. After that its outcome is unknown.
type ground struct{ *opened }

const writeTimeout = 2 * time.Second

func (g *ground) Put(ctx context.Context, key string, v []byte, c ...kv.Condition) (kv.Revision, error) {
	limited, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	rev, err := g.Store.Put(limited, key, v, c...)
	return rev, givenUp(ctx, err)
}

func (g *ground) Delete(ctx context.Context, key string, c ...kv.Condition) (kv.Revision, error) {
	limited, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	rev, err := g.Store.Delete(limited, key, c...)
	return rev, givenUp(ctx, err)
}

// reopen gives the writer a new Store, which it needs after the history was replaced. The writer continues where the histories part.
func (g *ground) reopen(ctx context.Context) (err error) {
	g.Store.Close()
	g.Store, err = pgkv.Open(ctx, g.pool, pgkv.Config{Schema: g.schema})
	return err
}

func givenUp(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%w: given up: %w", kv.ErrUnavailable, err)
	}
	return err
}

// trial has Values that are watched in every mode through one store, while their key is written through another store, and faults happen.
type trial struct {
	*testing.T
	ctx      context.Context
	server   *pgtest.Server
	watched  *opened // the store of the Values
	written  *ground // the store of the writer
	log      *judge.Writer
	watchers *judge.Watchers
	seed     uint64

	stop   context.CancelFunc // stops the writer, between two of its writes
	writer sync.WaitGroup
	wrote  chan struct{} // has a token for a write that was acknowledged
	failed error         // the error of the writer
}

// try runs a trial to its verdict.
func try(t *testing.T, s *pgtest.Server, url string, f fault) *trial {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	settings := pgkv.Config{Schema: newName("faults"), Page: 8, Poll: 200 * time.Millisecond, Timeout: time.Second}
	r := &trial{
		T: t, ctx: ctx, server: s, seed: rand.Uint64(), wrote: make(chan struct{}),
		watched: openAt(t, s, url, settings), written: &ground{openAt(t, s, url, settings)},
	}
	t.Logf("the seed is %d", r.seed)
	var err error
	if r.log, err = judge.NewWriter(ctx, r.written, "key"); err != nil {
		t.Fatal(err)
	}
	r.watchers = judge.NewWatchers(r.watched, "key", judge.Config{
		Seed: r.seed, Pace: 5 * time.Millisecond,
		Options: []value.Option{value.WithRetry(5*time.Millisecond, 200*time.Millisecond), value.WithCheck(500 * time.Millisecond)},
	})
	defer r.watchers.Close()
	r.watchers.OpenAll()
	r.startWriting()
	for range f.times {
		err = r.writes(30)
		if err == nil {
			err = f.do(r)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = r.writes(30)
	}
	r.stopWriting()
	if err = errors.Join(err, r.failed); err != nil {
		t.Fatal(err)
	}
	settled := r.watchers.Settle(ctx, r.log)
	r.watchers.Close()
	if err := errors.Join(r.watchers.Judge(r.log), settled); err != nil {
		t.Fatal(err)
	}
	written, unknown := r.log.Writes()
	t.Logf("%d writes, and %d of unknown outcome; %v", written, unknown, r.watchers.Counts())
	return r
}

// startWriting begins to write: values, bad values and deletions.
func (r *trial) startWriting() {
	var ctx context.Context
	ctx, r.stop = context.WithCancel(r.ctx)
	random := rand.New(rand.NewPCG(r.seed, 1))
	r.writer.Go(func() {
		for ctx.Err() == nil {
			err := r.write(random.IntN(10))
			switch {
			case err == nil:
				select {
				case r.wrote <- struct{}{}:
				default:
				}
			case !errors.Is(err, kv.ErrUnavailable):
				r.failed = err
				return
			}
			rest(ctx, time.Millisecond)
		}
	})
}

func (r *trial) write(n int) error {
	switch n {
	case 0:
		return r.log.Delete(r.ctx)
	case 1:
		return r.log.PutBad(r.ctx)
	}
	return r.log.Put(r.ctx)
}

func rest(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}

// stopWriting stops the writer after its current write.
func (r *trial) stopWriting() {
	r.stop()
	r.writer.Wait()
}

// writes waits for n writes.
func (r *trial) writes(n int) error {
	for range n {
		select {
		case <-r.wrote:
		case <-r.ctx.Done():
			return fmt.Errorf("the writer does not get on: %w", r.ctx.Err())
		}
	}
	return nil
}
