package value_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// TestRandomWritersAndFaults runs random programs: concurrent writers that update, create and delete one key, while requests and
// acknowledgements are lost, requests arrive late, the store is cut off, and its history is compacted. To run more of them:
//
//	go test ./value -run TestRandomWritersAndFaults -rapid.checks 10000
func TestRandomWritersAndFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := programs().Draw(t, "program")
		rapid.SyncTest(t, func(t *rapid.T) {
			if err := p.play(t.Context()); err != nil {
				t.Fatalf("\n%v\nin the program:\n%v", err, p)
			}
		})
	})
}

// account is what the writers write. A put adds one to N, so that it shows which value it has replaced, and it names its author.
type account struct {
	N     int
	By    string   `json:",omitempty"` // the author; two calls that are not distinct may write the same account
	Names []string `json:",omitempty"` // the names of the calls that add themselves to a list
}

var accounts = value.JSONCodec[account]()

// deed is one call of a writer.
type deed struct {
	kind     string
	pause    time.Duration // before the call
	patience time.Duration // the timeout of its context
}

func (d deed) String() string { return fmt.Sprintf("%v, %s (%v)", d.pause, d.kind, d.patience) }

// long is longer than all faults together.
const long = time.Hour

// trouble is a fault that lasts for some time.
type trouble struct {
	kind     string
	at, for_ time.Duration
}

type updateProgram struct {
	seed     uint64
	exists   bool // whether the key exists at the beginning
	writers  [][]deed
	troubles []trouble
}

func (p updateProgram) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  seed %d, the key exists: %t\n", p.seed, p.exists)
	for i, deeds := range p.writers {
		fmt.Fprintf(&b, "  writer %d: %v\n", i, deeds)
	}
	for _, x := range p.troubles {
		fmt.Fprintf(&b, "  from %v on for %v: %s\n", x.at, x.for_, x.kind)
	}
	return b.String()
}

func programs() *rapid.Generator[updateProgram] {
	millis := func(t *rapid.T, most int, label string) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, label)) * time.Millisecond
	}
	deeds := rapid.Custom(func(t *rapid.T) deed {
		d := deed{
			kind: rapid.SampledFrom([]string{
				"add", "add distinct", "add name", "add nothing", "refuse", "create", "create distinct", "create name", "delete", "check and delete",
			}).Draw(t, "kind"),
			pause: millis(t, 20, "pause"), patience: long,
		}
		if rapid.IntRange(0, 9).Draw(t, "hurry") == 0 {
			d.patience = millis(t, 2000, "patience")
		}
		return d
	})
	troubles := rapid.Custom(func(t *rapid.T) trouble {
		return trouble{
			kind: rapid.SampledFrom([]string{"requests lost", "answers lost", "requests late", "cut", "slow", "compaction"}).Draw(t, "kind"),
			at:   millis(t, 200, "at"), for_: millis(t, 2000, "for"),
		}
	})
	return rapid.Custom(func(t *rapid.T) updateProgram {
		return updateProgram{
			seed:     rapid.Uint64().Draw(t, "seed"),
			exists:   rapid.Bool().Draw(t, "exists"),
			writers:  rapid.SliceOfN(rapid.SliceOfN(deeds, 1, 6), 1, 4).Draw(t, "writers"),
			troubles: rapid.SliceOfN(troubles, 0, 4).Draw(t, "troubles"),
		}
	})
}

// has reports whether a deed or a trouble of the program is of one of these kinds.
func (p updateProgram) has(kinds ...string) bool {
	for _, deeds := range p.writers {
		if slices.ContainsFunc(deeds, func(d deed) bool { return slices.Contains(kinds, d.kind) }) {
			return true
		}
	}
	return slices.ContainsFunc(p.troubles, func(x trouble) bool { return slices.Contains(kinds, x.kind) })
}

// call is a deed that was done.
type call struct {
	deed
	name     string // unique
	err      error
	revision kv.Revision
	seen     int // how many times the call has seen the key
}

// lateStore records what was written. It can also delay requests: they are reported as lost, but arrive some time later.
type lateStore struct {
	*memory.Store
	mu      sync.Mutex
	source  *rand.Rand
	late    bool
	written []kv.Event
	pending sync.WaitGroup
}

func (s *lateStore) Put(ctx context.Context, key string, v []byte, c ...kv.Condition) (kv.Revision, error) {
	return s.do(kv.Event{Type: kv.EventPut, Entry: kv.Entry{Value: bytes.Clone(v)}}, func() (kv.Revision, error) {
		return s.Store.Put(context.WithoutCancel(ctx), key, v, c...)
	})
}

func (s *lateStore) Delete(ctx context.Context, key string, c ...kv.Condition) (kv.Revision, error) {
	return s.do(kv.Event{Type: kv.EventDelete}, func() (kv.Revision, error) {
		return s.Store.Delete(context.WithoutCancel(ctx), key, c...)
	})
}

func (s *lateStore) do(e kv.Event, write func() (kv.Revision, error)) (kv.Revision, error) {
	s.mu.Lock()
	late, after := s.late && s.source.IntN(2) == 0, time.Duration(s.source.IntN(3000))*time.Millisecond
	s.mu.Unlock()
	if !late {
		return s.arrive(e, write)
	}
	s.pending.Go(func() {
		time.Sleep(after)
		s.arrive(e, write)
	})
	return 0, kv.ErrUnavailable
}

func (s *lateStore) arrive(e kv.Event, write func() (kv.Revision, error)) (kv.Revision, error) {
	revision, err := write()
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		e.ModRevision = revision
		s.written = append(s.written, e)
	}
	return revision, err
}

func (s *lateStore) setLate(late bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = late
}

const accountKey = "/account"

// play runs the program and judges the outcome.
func (p updateProgram) play(ctx context.Context) error {
	source := rand.New(rand.NewPCG(p.seed, 0))
	under := &lateStore{Store: memory.New(), source: rand.New(rand.NewPCG(p.seed, 1))}
	store := fault.New(under)
	store.Delay(10*time.Millisecond, fault.Writes) // so that the writes overlap
	if p.exists {
		if _, err := under.Put(ctx, accountKey, []byte(`{"N":1,"By":"the beginning"}`)); err != nil {
			return err
		}
	}

	var running sync.WaitGroup
	for _, x := range p.troubles {
		running.Go(func() {
			time.Sleep(x.at)
			x.happen(ctx, store, under, source)
		})
	}
	calls := make([][]call, len(p.writers))
	for i, deeds := range p.writers {
		running.Go(func() {
			for turn, d := range deeds {
				time.Sleep(d.pause)
				c := call{deed: d, name: fmt.Sprintf("%d/%d", i, turn)}
				c.do(ctx, store)
				calls[i] = append(calls[i], c)
			}
		})
	}
	running.Wait()
	under.pending.Wait()
	return p.judge(slices.Concat(calls...), under.written)
}

// happen makes the fault.
func (x trouble) happen(ctx context.Context, s *fault.Store, under *lateStore, source *rand.Rand) {
	var rule *fault.Rule
	switch x.kind {
	case "requests lost":
		rule = s.Fail(-1, kv.ErrUnavailable, oneIn{2, source})
	case "answers lost":
		rule = s.Fail(-1, kv.ErrUnavailable, fault.Answered, oneIn{2, source})
	case "cut":
		rule = s.Cut()
	case "slow":
		rule = s.Delay(200*time.Millisecond, fault.Answered)
	case "requests late":
		under.setLate(true)
		defer under.setLate(false)
	case "compaction":
		now, err := under.Get(ctx, kv.Key(accountKey))
		if err == nil {
			under.Compact(ctx, now.Revision) // the error is ignored, because the revision may be compacted already
		}
		return
	}
	time.Sleep(x.for_)
	if rule != nil {
		rule.Remove()
	}
}

func (c *call) do(ctx context.Context, store kv.ReadWriter) {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	update := func(next func(account) (account, error), opts ...value.UpdateOption) {
		var r value.Reading[account]
		r, c.err = value.Update(ctx, store, accountKey, accounts, func(old account, exists bool) (account, error) {
			c.seen++
			return next(old)
		}, opts...)
		c.revision = r.Revision
	}
	create := func(v account, opts ...value.UpdateOption) {
		var r value.Reading[account]
		r, c.err = value.Create(ctx, store, accountKey, accounts, v, opts...)
		c.revision = r.Revision
	}
	switch c.kind {
	case "add":
		update(func(a account) (account, error) { a.N++; a.By = ""; return a, nil })
	case "add distinct":
		update(func(a account) (account, error) { a.N++; a.By = c.name; return a, nil }, value.Distinct())
	case "add name":
		update(func(a account) (account, error) {
			if !slices.Contains(a.Names, c.name) {
				a.N++
				a.By = c.name
				a.Names = append(a.Names, c.name)
			}
			return a, nil
		}, value.Idempotent())
	case "add nothing":
		update(func(a account) (account, error) {
			if a.N == 0 {
				return a, errNoAccount
			}
			return a, nil
		})
	case "refuse":
		update(func(account) (account, error) { return account{N: -1}, errRefused })
	case "create":
		create(account{N: 1})
	case "create distinct":
		create(account{N: 1, By: c.name}, value.Distinct())
	case "create name":
		create(account{N: 1, By: c.name}, value.Idempotent())
	case "delete":
		c.revision, c.err = value.Delete(ctx, store, accountKey, accounts, nil)
	case "check and delete":
		c.revision, c.err = value.Delete(ctx, store, accountKey, accounts, func(account) error { return nil })
	}
}

var (
	errNoAccount = errors.New("no account")
	errRefused   = errors.New("refused")
)
