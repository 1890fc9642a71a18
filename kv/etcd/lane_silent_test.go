package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// idle starts a watch of store and returns when it is waiting for events.
func idle(t *testing.T, ctx context.Context, store *etcd.Store) (ended <-chan error) {
	end := make(chan error, 1)
	go func() {
		for _, err := range store.Watch(ctx, kv.Key("k"), 10) {
			if err != nil {
				end <- err
			}
		}
	}()
	synctest.Wait()
	return end
}

func TestAReadExaminesAQuietStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store := etcd.New(s.client())
		ended := idle(t, ctx, store)
		s.silence("0")
		time.Sleep(5 * time.Second)
		must(store.Get(ctx, kv.Key("k")))(t)
		began := time.Now()
		select {
		case err := <-ended:
			if !errors.Is(err, kv.ErrUnavailable) || !strings.Contains(err.Error(), "DialKeepAliveTime") {
				t.Errorf("promised: the error of the watch names the probable cause; it was %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("promised: a watch ends if its stream does not answer while another stream does; it went on for a minute")
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("the watch ended %v after the read", d)
		}
	})
}

// After a refusal, new watches use another stream. The watches that run in the old stream still work.
func TestAStreamAbandonedAfterARefusalIsNotTakenForDead(t *testing.T) {
	for range 20 { // chance decides which of two channels is ready first
		synctest.Test(t, func(t *testing.T) {
			s := newStreams(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			store := etcd.New(s.client())
			ended := idle(t, ctx, store)
			s.refuse.Store(true)
			for range store.Watch(ctx, kv.Key("other"), 10) {
			}
			s.refuse.Store(false)
			for range 5 {
				time.Sleep(time.Minute)
				must(store.Get(ctx, kv.Key("k")))(t)
				synctest.Wait()
			}
			time.Sleep(time.Minute)
			select {
			case err := <-ended:
				t.Fatalf("promised: a watch that works goes on; it ended with %v", err)
			default:
			}
			if s.watches("0") < 4 {
				t.Errorf("the stream was asked %d times whether it is alive, want each time", s.watches("0"))
			}
		})
	}
}

// If no stream answers, no other stream is better.
func TestAStreamIsNotTakenForDeadWhileNoOtherAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client := s.client()
		healthy := client.watch
		var slow atomic.Bool
		client.watch = func(ctx context.Context, op clientv3.Op) clientv3.WatchChan {
			if slow.Load() { // every stream
				select {
				case <-s.closed:
				case <-ctx.Done():
				}
			}
			return healthy(ctx, op)
		}
		store := etcd.New(client)
		ended := idle(t, ctx, store)
		slow.Store(true)
		time.Sleep(5 * time.Second)
		must(store.Get(ctx, kv.Key("k")))(t)
		time.Sleep(10 * time.Minute)
		select {
		case err := <-ended:
			t.Errorf("promised: a watch goes on while no other stream answers; it ended with %v", err)
		default:
		}
	})
}

// silentAfter opens a watch in the first stream, calls prepare, and reads after the time quiet.
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

func TestOnlyAQuietStreamIsExamined(t *testing.T) {
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
				must(store.Get(t.Context(), kv.Key("k")))(t) // a recent acknowledgement also shows that the stream is alive
				synctest.Wait()
				if got := s.watches("0") - 1; got != test.asked || s.notEnded("0") != 1 || s.requestedProgress("0") != test.asked {
					t.Errorf("promised: a stream that was quiet %s gets %d requests for a watch, and as many for progress; it got %d and %d, and %d watches are open",
						name, test.asked, got, s.requestedProgress("0"), s.notEnded("0"))
				}
			})
		})
	}
}

func TestManyReadsExamineAStreamOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store, _, cancel := silentAfter(t, time.Minute, func(s *streams) { s.delay("0", time.Second) })
		defer cancel()
		for range 10 {
			must(store.Get(t.Context(), kv.Key("k")))(t)
		}
		time.Sleep(time.Minute)
		if n := s.watches("0") - 1; n != 1 {
			t.Errorf("promised: concurrent reads ask the stream only once; it was asked %d times", n)
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
					t.Fatal("promised: the watch of a silent stream ends; it had not ended an hour later")
				}
				if took := time.Since(s.began) - time.Minute; took != want {
					t.Errorf("promised: the watch ends after %v; it ended after %v", want, took)
				}
				time.Sleep(time.Hour)
				last := s.name(silent + 1)
				if n := len(s.opened()); n != silent+2 || s.watches(last) != 1 || s.notEnded(last) != 0 || s.requestedProgress("0") != 0 {
					t.Errorf("promised: after that no stream is asked; %d streams were asked, the last one %d times, and %d watches in it are open", n, s.watches(last), s.notEnded(last))
				}
			})
		})
	}
}

// While a large response arrives, its stream answers nothing. A program with many values makes reads all the time.
func TestALargeResponseOverASlowLinkArrivesWhileTheProgramReads(t *testing.T) {
	const size, perSecond = 1 << 20, 20_000
	const needs = size * time.Second / perSecond
	for _, members := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d members", members), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				cluster := etcdmem.Start(t, members)
				store := etcd.New(cluster.Client())
				after := must(store.Put(ctx, "small", nil))(t)
				arrived := make(chan struct{})
				go func() {
					defer close(arrived)
					for ctx.Err() == nil {
						for b, err := range store.Watch(ctx, kv.Key("large"), after) {
							if err == nil && !b.IsBookmark() {
								return
							}
						}
					}
				}()
				time.Sleep(time.Minute)
				must(store.Put(ctx, "large", make([]byte, size)))(t)
				cluster.Network().Throttle(perSecond)
				began := time.Now()
				for reading := true; reading; {
					store.Get(ctx, kv.Key("small"))
					select {
					case <-arrived:
						reading = false
					case <-time.After(time.Second):
					}
				}
				if took := time.Since(began); took > 3*needs {
					t.Errorf("promised: a stream that works is not given up again and again; a response that needs %v had arrived, or not, after %v", needs, took)
				}
			})
		})
	}
}

// replacedAfter begins a watch whose stream falls silent by prepare. It returns when the watch has ended for that, and another one is idle in a
// new stream.
func replacedAfter(t *testing.T, prepare func(s *streams)) (s *streams, store *etcd.Store, ended <-chan error, stop func()) {
	s, store, ended, cancel := silentAfter(t, time.Minute, prepare)
	<-ended
	cancel()
	ctx, stop := context.WithCancel(t.Context())
	return s, store, idle(t, ctx, store), stop
}

// givenUp makes a read, and returns how long after it the watch ends.
func givenUp(t *testing.T, store *etcd.Store, ended <-chan error) time.Duration {
	must(store.Get(t.Context(), kv.Key("k")))(t)
	began := time.Now()
	<-ended
	return time.Since(began)
}

// The silence of the first stream may have been a large response on a slow link.
func TestAStreamInThePlaceOfASilentOneMayBeSilentForMinutesUntilItHasAnswered(t *testing.T) {
	for name, test := range map[string]struct {
		answers bool
		want    time.Duration
	}{
		"it has not answered": {false, 2*time.Second + 5*time.Minute},
		"it has answered":     {true, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store, ended, stop := replacedAfter(t, func(s *streams) { s.silence("0") })
				defer stop()
				time.Sleep(time.Minute)
				if test.answers {
					must(store.Get(t.Context(), kv.Key("k")))(t)
					time.Sleep(time.Minute)
				}
				s.silence(s.name(1))
				if took := givenUp(t, store, ended); took != test.want {
					t.Errorf("promised: when %s, the watch ends %v after a read; it ended after %v", name, test.want, took)
				}
			})
		})
	}
}

// A member that was frozen for minutes also answers late. That must not make dead streams live long for ever.
func TestAStreamThatAnsweredLateIsForgottenAsOthersAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const late, answers = 4 * time.Minute, 10
		s, store, ended, stop := replacedAfter(t, func(s *streams) { s.delay("0", late) })
		defer stop()
		time.Sleep(late)
		for range answers {
			must(store.Get(t.Context(), kv.Key("k")))(t) // the stream answers
			time.Sleep(time.Minute)
		}
		s.silence(s.name(1))
		if took, want := givenUp(t, store, ended), 3*time.Second; took != want {
			t.Errorf("promised: after %d answers a silent stream is given up after %v; it was after %v", answers, want, took)
		}
	})
}

// A stream that answers after it was given up was slow. From then on, all streams have twice that time, and half as much after each answer.
func TestAStreamThatAnswersLateTeachesPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const late = 20 * time.Second
		s, store, ended, stop := replacedAfter(t, func(s *streams) { s.delay("0", late) })
		defer stop()
		time.Sleep(time.Minute)
		must(store.Get(t.Context(), kv.Key("k")))(t) // the stream answers
		time.Sleep(time.Minute)
		s.silence(s.name(1))
		if took, want := givenUp(t, store, ended), 2*time.Second+2*late/2; took != want {
			t.Errorf("promised: a stream may be silent for twice as long as one that was only slow, half of that after an answer, and is given up after %v; it was after %v", want, took)
		}
	})
}

func TestAnExaminationEndsWhenItIsNoLongerNeeded(t *testing.T) {
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
					t.Errorf("promised: when %s, no other stream is asked; streams were asked after %v", name, s.opened())
				}
				if len(ended) == 0 {
					return
				}
				must(store.Get(t.Context(), kv.Key("k")))(t)
				time.Sleep(time.Hour)
				if n := s.watches("0"); n != 2 {
					t.Errorf("promised: a stream without watches is not asked; it was asked %d times", n-1)
				}
			})
		})
	}
}

// Here every stream has been left, so there is no other stream to ask.
func TestAnExaminationSendsOneRequest(t *testing.T) {
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
			t.Errorf("promised: an examination makes one request in a stream; in the last stream it made %d", n-1)
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
		<-ended // the bubble then fails if a goroutine is left
	})
}
