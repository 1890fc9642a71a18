package etcd_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
)

// deaf returns a client whose first stream answers nothing until the test calls release. Other streams deliver what the script says.
func deaf(s *script) (client *fake, release func()) {
	released := make(chan struct{})
	return &fake{watch: func(ctx context.Context, op clientv3.Op) clientv3.WatchChan {
		if stream(ctx) == "0" {
			<-released
		}
		return s.watch(ctx, op)
	}}, func() { close(released) }
}

func TestAWatchThatNoMemberAcknowledgesIsServedByAnotherStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(changed("k", 11))
		client, release := deaf(s)
		store := etcd.New(client)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := time.Now()
		for b, err := range store.Watch(ctx, kv.Key("k"), 10) {
			if err != nil || b.Revision != 11 {
				t.Errorf("promised: a watch leaves a stream that does not acknowledge it; happened: %v, %v", b, err)
			}
			break
		}
		if d := time.Since(began); d < time.Second || d > 5*time.Second {
			t.Errorf("the watch was served after %v, want about two seconds", d)
		}
		// Later watches do not use the stream that was left.
		s.say(changed("k", 12))
		began = time.Now()
		for b, err := range store.Watch(ctx, kv.Key("k"), 11) {
			if err != nil || b.Revision != 12 {
				t.Errorf("the next watch yielded %v, %v, want revision 12", b, err)
			}
			break
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("the next watch waited %v, want it to begin in the stream that answers", d)
		}
		release()
	})
}

// If a request is cancelled before it is acknowledged, etcd's client never closes the stream.
func TestARequestForAWatchIsNotCancelledBeforeItIsAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked context.Context
		s := newScript()
		released := make(chan struct{})
		store := etcd.New(&fake{watch: func(ctx context.Context, op clientv3.Op) clientv3.WatchChan {
			asked = ctx
			<-released
			return s.watch(ctx, op)
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		for range store.Watch(ctx, kv.Key("k"), 10) {
		}
		if d := time.Since(began); d != time.Second {
			t.Errorf("promised: the watch ends with its context, after a second; it ended after %v", d)
		}
		synctest.Wait()
		if asked.Err() != nil {
			t.Error("promised: a request is not cancelled before it is acknowledged; it was cancelled")
		}
		close(released)
		synctest.Wait()
		if asked.Err() == nil {
			t.Error("promised: a watch that has ended is cancelled once it is acknowledged; it was not cancelled")
		}
	})
}

func TestAWatchIsAcknowledgedOnceAServerHasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		store := etcd.New(&fake{watch: s.watch})
		ctx, cancel := context.WithCancel(t.Context())
		acknowledged := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range kv.WatchAcknowledged(ctx, store, kv.Key("k"), 10, func() { acknowledged++ }) {
			}
		}()
		synctest.Wait()
		if acknowledged != 0 {
			t.Error("promised: acknowledged is called when a member serves the watch; it was called earlier")
		}
		s.say(headed(header(10), clientv3.WatchResponse{Created: true}))
		synctest.Wait()
		if acknowledged != 1 {
			t.Errorf("promised: acknowledged is called once; it was called %d times", acknowledged)
		}
		cancel()
		<-done
	})
}
