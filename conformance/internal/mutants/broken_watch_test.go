package mutants

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/watchkv/watchkv/kv"
)

type watchFunc = func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error]

// change makes a watch of what each batch of the sound one becomes.
func change(f func(b kv.Batch, after kv.Revision) []kv.Batch) watchFunc {
	return func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for b, err := range m.Store.Watch(ctx, r, after) {
				if err != nil {
					yield(b, err)
					return
				}
				for _, b := range f(b, after) {
					if !yield(b, nil) {
						return
					}
				}
			}
		}
	}
}

// item is what a watch yields.
type item struct {
	b   kv.Batch
	err error
}

// decision says whether a watch that ended with err after last goes on, and after which revision. Before anything came last
// has only the revision that the watch began after.
type decision = func(last kv.Batch, err error) (after kv.Revision, goesOn bool)

// goingOn makes a watch that does not tell of every end. Each watch decides by itself.
func goingOn(decide func(m *mutant, r kv.Range) decision) watchFunc {
	return func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		ended := decide(m, r)
		return func(yield func(kv.Batch, error) bool) {
			last := kv.Batch{Revision: after}
			for goesOn := true; goesOn; {
				goesOn = false
				for b, err := range m.Store.Watch(ctx, r, after) {
					if err == nil {
						last, after = b, max(after, b.Revision)
					} else if after, goesOn = ended(last, err); goesOn {
						break
					}
					if !yield(b, err) {
						return
					}
				}
			}
		}
	}
}

// failing makes a watch whose error becomes another.
func failing(f func(error) error) watchFunc {
	return func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for b, err := range m.Store.Watch(ctx, r, after) {
				if err != nil {
					if err = f(err); err != nil {
						yield(kv.Batch{}, err)
					}
					return
				}
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

// sometimes is when an event is concerned that is to be tampered with: about one in ten.
func sometimes(e kv.Event) bool { return e.ModRevision%10 == 3 }

func batchOf(events []kv.Event) []kv.Batch {
	if len(events) == 0 {
		return nil
	}
	return []kv.Batch{{Revision: events[len(events)-1].ModRevision, Events: events}}
}

// without returns b less the events that drop says.
func without(drop func(kv.Event) bool) watchFunc {
	return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		if b.IsBookmark() {
			return []kv.Batch{b}
		}
		return batchOf(slices.DeleteFunc(b.Events, drop))
	})
}

// silent delivers nothing until ctx is done.
func silent(ctx context.Context, yield func(kv.Batch, error) bool) {
	<-ctx.Done()
	yield(kv.Batch{}, ctx.Err())
}

// unavailableIf makes an error that matches into one that asks to be tried again.
func unavailableIf(match error) func(error) error {
	return func(err error) error {
		if errors.Is(err, match) {
			return &kv.OpError{Store: "mutant", Op: "watch", Reason: kv.ErrUnavailable}
		}
		return err
	}
}
