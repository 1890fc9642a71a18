package fault_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// inBubble runs a test with a store, a fault.Store over it, and a context that ends with the test. A bubble fails the test
// if a goroutine is left, or if all goroutines are blocked for ever.
func inBubble(t *testing.T, test func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		under := memory.New()
		test(t, ctx, under, fault.New(under))
	})
}

// result is the result of a call in another goroutine.
type result struct {
	value string
	err   error
}

// get reads /a in another goroutine.
func get(ctx context.Context, s kv.Store) <-chan result {
	done := make(chan result, 1)
	go func() {
		entry, err := kv.GetKey(ctx, s, "/a")
		done <- result{string(entry.Value), err}
	}()
	return done
}

// follower is a watch that another goroutine reads until it ends.
type follower struct {
	seen chan string // what the watch delivered: "put /a=1", "delete /a", or the text of the error
	end  chan error  // the error of the watch, or nil
}

func newFollower() *follower { return &follower{make(chan string, 100), make(chan error, 1)} }

func follow(watch iter.Seq2[kv.Batch, error]) *follower {
	f := newFollower()
	go f.read(watch)
	return f
}

func (f *follower) read(watch iter.Seq2[kv.Batch, error]) {
	for batch, err := range watch {
		if err != nil {
			f.end <- err
			return
		}
		for _, e := range batch.Events {
			f.seen <- fmt.Sprintf("%v %s=%s", e.Type, e.Key, e.Value)
		}
	}
	f.end <- nil
}

// news returns what the watch delivered since the last call, once the bubble is quiet.
func (f *follower) news() string {
	synctest.Wait()
	var text string
	for {
		select {
		case one := <-f.seen:
			if text != "" {
				text += ", "
			}
			text += one
		default:
			return text
		}
	}
}

// ended returns the error that ended the watch. It fails the test if the watch has not ended.
func (f *follower) ended(t *testing.T) error {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-f.end:
		return err
	default:
		t.Fatal("the watch has not ended")
		return nil
	}
}

// finished returns the result of a call. It fails the test if the call still hangs.
func finished(t *testing.T, done <-chan result) result {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-done:
		return r
	default:
		t.Fatal("the call hangs")
		return result{}
	}
}

// hangs fails the test if the call has returned.
func hangs(t *testing.T, done <-chan result) {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-done:
		t.Fatalf("the call returned %q, %v, want it to hang", r.value, r.err)
	default:
	}
}

func put(t *testing.T, s kv.Writer, key, value string) kv.Revision {
	t.Helper()
	rev, err := s.Put(context.Background(), key, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// revision returns the store's current revision.
func revision(t *testing.T, s kv.Store) kv.Revision {
	t.Helper()
	snapshot, err := s.Get(context.Background(), kv.All())
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Revision
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func wantError(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("got error %v, want one that matches %v", err, target)
	}
}
