package etcd_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
)

func seconds(n ...int) (times []time.Duration) {
	for _, s := range n {
		times = append(times, time.Duration(s)*time.Second)
	}
	return times
}

// leaves is when each stream is tried while none acknowledges anything: quickly at first, then more and more slowly, as the network may be
// slow, and no more when each connection has been tried.
var leaves = seconds(0, 2, 4, 6, 8, 12, 20)

func TestStreamsThatAcknowledgeNothingAreLeftMoreAndMoreSlowly(t *testing.T) {
	for _, watches := range []int{1, 10} {
		t.Run(fmt.Sprint(watches), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStreams(t)
				s.delayOthers(never)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				store := etcd.New(s.client())
				for range watches {
					idle(t, ctx, store)
				}
				time.Sleep(time.Hour)
				if got := s.opened(); !slices.Equal(got, leaves) {
					t.Errorf("promised: %d watches that are not acknowledged try streams after %v; they did after %v", watches, leaves, got)
				}
			})
		})
	}
}

func TestAStreamIsLeftQuicklyAgainOnceAnotherHasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		s.delayOthers(never)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store := etcd.New(s.client())
		idle(t, ctx, store)
		time.Sleep(9 * time.Second)
		s.delayOthers(0) // the next stream acknowledges, after 12 s
		time.Sleep(time.Minute)
		last := len(s.opened()) - 1
		s.silence(s.name(last))
		idle(t, ctx, store)
		asked := time.Since(s.began)
		time.Sleep(time.Minute)
		got := s.opened()
		if last != 5 || len(got) != last+2 || got[last+1]-asked != 2*time.Second {
			t.Errorf("promised: the stream that acknowledged, the sixth, is left after 2 s; the watch was requested after %v, and streams were tried after %v", asked, got)
		}
	})
}

// closable is a fake that may be closed, as the client's own watcher is with the client.
type closable struct{ *fake }

func (closable) Close() error { return nil }

// A stream has the connection that it began with, so another one would wait for the same.
func TestNoStreamIsLeftWhileTheClientHasNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newCounting(t, 1), newStreams(t)
		s.delayOthers(never)
		client := m.client(func(c clientv3.Config) clientv3.Config {
			c.DialOptions = append(c.DialOptions, grpc.WithIdleTimeout(0)) // the stream of a real watch keeps the connection
			return c
		})
		client.Watcher = closable{s.client()}
		connected(t.Context(), client)
		m.Stop()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		idle(t, ctx, etcd.New(client))
		time.Sleep(time.Hour)
		if got := s.opened(); len(got) != 1 {
			t.Errorf("promised: without a connection no stream is left; streams were tried after %v", got)
		}
		m.start()
		time.Sleep(time.Minute)
		if got := s.opened(); len(got) != len(leaves) {
			t.Errorf("promised: with a connection %d streams are tried; they were after %v", len(leaves), got)
		}
	})
}

// etcd's client sends the requests of a stream one after the other, so each waits for all before it.
func TestAStreamIsNotLeftWhileItAcknowledgesInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		s.delayOthers(1500 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store := etcd.New(s.client())
		for range 10 {
			idle(t, ctx, store)
		}
		time.Sleep(time.Minute)
		if got := s.opened(); len(got) != 1 || s.watches("0") != 10 {
			t.Errorf("promised: ten watches wait for their turn in one stream; %d were requested in it, and streams were tried after %v", s.watches("0"), got)
		}
	})
}

// silentAfter opens a watch in the first stream, makes that silent, and reads after the given time.
func silentAfter(t *testing.T, quiet time.Duration, prepare func(s *streams)) (s *streams, store *etcd.Store, ended <-chan error, cancel func()) {
	s = newStreams(t)
	ctx, cancel := context.WithCancel(t.Context())
	store = etcd.New(s.client())
	ended = idle(t, ctx, store)
	prepare(s)
	time.Sleep(quiet)
	must(store.Get(ctx, kv.Key("k")))(t)
	synctest.Wait()
	return s, store, ended, cancel
}

func TestAStreamIsAskedOnlyWhenItHasBeenQuiet(t *testing.T) {
	none := func(*streams) {}
	for name, test := range map[string]struct {
		quiet   time.Duration
		prepare func(s *streams)
		asked   int
	}{
		"for a moment":        {time.Second, none, 0},
		"for seconds":         {3 * time.Second, none, 1},
		"since it has spoken": {time.Second, func(s *streams) { time.Sleep(time.Minute); s.say(progress(10)) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store, _, cancel := silentAfter(t, test.quiet, test.prepare)
				defer cancel()
				must(store.Get(t.Context(), kv.Key("k")))(t) // the acknowledgement counts too
				synctest.Wait()
				if got := s.watches("0") - 1; got != test.asked || s.notEnded("0") != 1 || s.requestedProgress("0") != test.asked {
					t.Errorf("promised: a stream that was quiet %s is asked %d times, and then for progress; it was asked %d times, for progress %d times, and %d watches are open",
						name, test.asked, got, s.requestedProgress("0"), s.notEnded("0"))
				}
			})
		})
	}
}

func TestManyReadsAskAStreamOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store, _, cancel := silentAfter(t, time.Minute, func(s *streams) { s.delay("0", time.Second) })
		defer cancel()
		for range 10 {
			must(store.Get(t.Context(), kv.Key("k")))(t)
		}
		time.Sleep(time.Minute)
		if n := s.watches("0") - 1; n != 1 {
			t.Errorf("promised: reads that run meanwhile do not ask again; the stream was asked %d times", n)
		}
	})
}

func TestASilentStreamIsDeadASecondAfterAnotherHasAnswered(t *testing.T) {
	for silent, want := range []time.Duration{3 * time.Second, 5 * time.Second, 7 * time.Second} {
		t.Run(fmt.Sprintf("%d others are silent too", silent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _, ended, cancel := silentAfter(t, time.Minute, func(s *streams) {
					s.silence("0")
					s.delayOthers(never)
				})
				defer cancel()
				time.Sleep(time.Duration(2*silent+1) * time.Second)
				s.delayOthers(0)
				select {
				case <-ended:
				case <-time.After(time.Hour):
					t.Fatal("promised: the watch of a silent stream ends; an hour later it had not")
				}
				if took := time.Since(s.began) - time.Minute; took != want {
					t.Errorf("promised: the watch ends after %v; it ended after %v", want, took)
				}
				time.Sleep(time.Hour)
				last := s.name(silent + 1)
				if n := len(s.opened()); n != silent+2 || s.watches(last) != 1 || s.notEnded(last) != 0 || s.requestedProgress("0") != 0 {
					t.Errorf("promised: then nothing more is asked; %d streams were, the last one %d times, and %d watches in it are open", n, s.watches(last), s.notEnded(last))
				}
			})
		})
	}
}

func TestAStreamIsNotAskedForLongerThanItHasToBe(t *testing.T) {
	for name, end := range map[string]func(s *streams, cancel func()){
		"it has brought something":   func(s *streams, _ func()) { s.say(progress(10)) },
		"it has no watches any more": func(_ *streams, cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store, ended, cancel := silentAfter(t, time.Minute, func(s *streams) { s.silence("0") })
				defer cancel()
				time.Sleep(time.Second)
				end(s, cancel)
				time.Sleep(time.Hour)
				if n := len(s.opened()); n != 1 {
					t.Errorf("promised: when %s no other stream is asked; streams were, after %v", name, s.opened())
				}
				if len(ended) == 0 {
					return
				}
				// Nothing is asked for a watch that has ended.
				must(store.Get(t.Context(), kv.Key("k")))(t)
				time.Sleep(time.Hour)
				if n := s.watches("0"); n != 2 {
					t.Errorf("promised: a stream without watches is not asked; it was %d times", n-1)
				}
			})
		})
	}
}

// While every stream has been left there is no other one to ask.
func TestAStreamIsAskedOnceForEachExamination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store := etcd.New(s.client())
		idle(t, ctx, store)
		s.silence("0")
		s.delayOthers(time.Minute)
		idle(t, ctx, store)
		time.Sleep(30 * time.Second)
		last := s.name(len(leaves) - 1)
		must(store.Get(ctx, kv.Key("k")))(t)
		time.Sleep(time.Hour)
		if n := s.watches(last); n > 2 {
			t.Errorf("promised: an examination makes one request in a stream; in the last one %d were made, besides the watch", n-1)
		}
	})
}

func TestAnExaminationEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		open, closeClient := context.WithCancel(t.Context())
		client := &openFake{fake: s.client(), ctx: open}
		store := etcd.New(client)
		ended := idle(t, t.Context(), store)
		s.silence("0")
		time.Sleep(time.Minute)
		must(store.Get(t.Context(), kv.Key("k")))(t)
		synctest.Wait()
		closeClient()
		<-ended // and then the bubble finds what is still running
	})
}
