package value_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// after is what others do after an Update's first write has failed and before the Update reads the key.
type after func(w *world)

// lossy begins an Update that adds one to the key, and loses the request or the acknowledgement of its first write. Then it calls others, and
// returns what the Update returns.
func lossy(w *world, lost []fault.Match, others after, opts ...value.UpdateOption) (value.Reading[int], error) {
	w.Helper()
	w.Fail(1, kv.ErrUnavailable, lost...)
	var r value.Reading[int]
	var err error
	reads := w.Counts().Gets
	h := w.Hold(fault.Gets, onCall(2))
	done := make(chan struct{})
	go func() {
		defer close(done)
		calls := 0
		r, err = update(w, add(1, &calls), opts...)
	}()
	select {
	case <-h.Reached():
		if n := w.Counts().Gets - reads; n != 2 {
			w.broken("the test itself: read %d is held, want read 2", n)
		}
		if others != nil {
			others(w)
		}
	case <-done: // the Update made no second read
	}
	h.Release()
	<-done
	return r, err
}

// onCall matches the nth of the calls that the matches before it select.
func onCall(n int) fault.Match { return &nth{n: n} }

type nth struct{ n int }

func (m *nth) Matches(fault.Call) bool { m.n--; return m.n == 0 }
func (m *nth) String() string          { return "once" }

var (
	lostRequest = []fault.Match{fault.Puts}
	lostAnswer  = []fault.Match{fault.Puts, fault.Answered}
)

// wantInTheEnd checks what the key holds in the end, "" for nothing, and how many writes were sent.
func (w *world) wantInTheEnd(holds string, sent, want int) {
	w.Helper()
	entry, err := kv.GetKey(w.Context(), w.backend, w.key)
	if !errors.Is(err, kv.ErrNotFound) {
		w.must(err)
	}
	if got := string(entry.Value); got != holds {
		w.broken("the key holds %q in the end, want %q", got, holds)
	}
	if sent != want {
		w.broken("%d writes were sent, want %d", sent, want)
	}
}

func TestUpdateFindsTheOutcomeOfALostWrite(t *testing.T) {
	distinct := []value.UpdateOption{value.Distinct()}
	idempotent := []value.UpdateOption{value.Idempotent()}
	none := kv.Revision(0)
	for _, c := range []struct {
		name   string
		lost   []fault.Match
		opts   []value.UpdateOption
		others after
		want   string      // what the key holds in the end
		at     kv.Revision // the revision that Update returns, counted from that of the first value; none if the outcome is unknown
		puts   int         // the number of puts that Update has sent
	}{
		{"a lost request is sent again", lostRequest, nil, nil, "11", 1, 2},
		{"a lost request, then another value", lostRequest, nil, func(w *world) { w.put("20") }, "21", 2, 2},
		{"a lost request, then the same value from another", lostRequest, nil, func(w *world) { w.put("11") }, "11", none, 1},
		{"a lost request, then the same value from another, then more", lostRequest, nil, func(w *world) { w.put("11"); w.put("20") }, "20", none, 1},
		{"a lost request, then another value, then the same", lostRequest, nil, func(w *world) { w.put("20"); w.put("11") }, "12", 3, 2},
		{"a lost request, then a deletion", lostRequest, nil, func(w *world) { w.delete() }, "1", 2, 2},
		{"a lost request, then a deletion and the same value", lostRequest, nil, func(w *world) { w.delete(); w.put("11") }, "12", 3, 2},
		{"a lost request, then a deletion and two values, the last of them the same", lostRequest, nil, func(w *world) { w.delete(); w.put("20"); w.put("11") }, "12", 4, 2},

		{"a lost acknowledgement may be another's", lostAnswer, nil, nil, "11", none, 1},
		{"a lost acknowledgement, then another value", lostAnswer, nil, func(w *world) { w.put("20") }, "20", none, 1},
		{"a lost acknowledgement, then a deletion", lostAnswer, nil, func(w *world) { w.delete() }, "", none, 1},

		{"distinct: a lost request is sent again", lostRequest, distinct, nil, "11", 1, 2},
		{"distinct: a lost request, then another value", lostRequest, distinct, func(w *world) { w.put("20") }, "21", 2, 2},
		{"distinct: a lost acknowledgement is found", lostAnswer, distinct, nil, "11", 1, 1},
		{"distinct: a lost acknowledgement is found in the history", lostAnswer, distinct, func(w *world) { w.put("20"); w.put("30") }, "30", 1, 1},
		{"distinct: a lost acknowledgement is found before a deletion", lostAnswer, distinct, func(w *world) { w.delete() }, "", 1, 1},
		{"distinct: a lost acknowledgement, and the history is gone", lostAnswer, distinct, func(w *world) { w.put("20"); w.compact() }, "20", none, 1},
		{"distinct: a lost acknowledgement needs no history without other writers", lostAnswer, distinct, func(w *world) { w.compact() }, "11", 1, 1},

		{"idempotent: a lost request is sent again", lostRequest, idempotent, nil, "11", 1, 2},
		{"idempotent: a lost acknowledgement, and the change is made again", lostAnswer, idempotent, nil, "12", 2, 2},
		{"idempotent: a lost acknowledgement, then a deletion", lostAnswer, idempotent, func(w *world) { w.delete() }, "1", 3, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, "a write whose acknowledgement is lost happens at most once, and Update says whether it did", func(w *world) {
				first := w.put("10")
				r, err := lossy(w, c.lost, c.others, c.opts...)
				if c.at == none {
					w.wantErr(err, value.ErrOutcomeUnknown)
				} else if err != nil || r.Revision != first+c.at {
					w.broken("Update returned %d of revision %d and the error %v; want revision %d", r.Value, r.Revision, err, first+c.at)
				}
				w.wantInTheEnd(c.want, w.Counts().Puts, c.puts)
			})
		})
	}
}

func TestARepeatedRequestMayConflictWithTheFirst(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []value.UpdateOption
		ok   bool
	}{
		{"any", nil, false},
		{"distinct", []value.UpdateOption{value.Distinct()}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, "a conflict of the second request does not mean that the first has not happened", func(w *world) {
				first := w.put("10")
				w.Fail(1, kv.ErrUnavailable, fault.Puts)
				h := w.Hold(fault.Puts, onCall(2))
				var r value.Reading[int]
				var err error
				done := make(chan struct{})
				go func() {
					defer close(done)
					calls := 0
					r, err = update(w, add(1, &calls), c.opts...)
				}()
				w.Held(h)
				w.put("11") // as if the first request arrived now
				h.Release()
				<-done
				if c.ok {
					w.wantUpdated(r, err, 11, first+1)
				} else {
					w.wantErr(err, value.ErrOutcomeUnknown)
				}
				w.wantStored("11", first+1)
			})
		})
	}
}

func TestALostWriteThatDidNotHappenIsForgotten(t *testing.T) {
	each(t, "if it is found out that the lost write has not happened, a later error does not say unknown", func(w *world) {
		w.put("10")
		w.Fail(1, kv.ErrUnavailable, lostRequest...)
		h := w.Hold(fault.Gets, onCall(2))
		refusal := errors.New("not any more")
		done := make(chan error)
		go func() {
			_, err := update(w, func(old int, _ bool) (int, error) {
				if old == 20 {
					return 0, refusal
				}
				return old + 1, nil
			})
			done <- err
		}()
		w.Held(h)
		at := w.put("20")
		h.Release()
		if err := <-done; err != refusal {
			w.broken("the error is %v, want %v", err, refusal)
		}
		w.wantStored("20", at)
	})
}

func TestALostWriteIsSentAgainWithAValueChangedInPlace(t *testing.T) {
	each(t, "what change does to old does not hide that the key is unchanged", func(w *world) {
		first := w.put("abc")
		w.Fail(1, kv.ErrUnavailable, lostRequest...)
		r, err := value.Update(w.Context(), w.Store, w.key, value.BytesCodec(), func(old []byte, _ bool) ([]byte, error) {
			old[0] = 'x'
			return old, nil
		})
		if err != nil || r.Revision != first+1 {
			w.broken("Update returned revision %d and the error %v, want %d", r.Revision, err, first+1)
		}
		w.wantStored("xbc", r.Revision)
	})
}

func TestALostCreationIsNotSentAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		lost   []fault.Match
		opts   []value.UpdateOption
		others after
		want   string
		ok     bool
		puts   int
	}{
		{"lost request", lostRequest, nil, nil, "", false, 1},
		{"lost acknowledgement", lostAnswer, nil, nil, "1", false, 1},
		{"distinct: lost request", lostRequest, []value.UpdateOption{value.Distinct()}, nil, "", false, 1},
		{"distinct: lost request, and another's creation", lostRequest, []value.UpdateOption{value.Distinct()}, func(w *world) { w.put("7") }, "7", false, 1},
		{"distinct: lost acknowledgement", lostAnswer, []value.UpdateOption{value.Distinct()}, nil, "1", true, 1},
		{"distinct: lost acknowledgement, and more puts", lostAnswer, []value.UpdateOption{value.Distinct()}, func(w *world) { w.put("7"); w.delete(); w.put("8") }, "8", true, 1},
		{"distinct: lost acknowledgement, and a deletion", lostAnswer, []value.UpdateOption{value.Distinct()}, func(w *world) { w.delete() }, "", false, 1},
		{"distinct: lost acknowledgement, and the history is gone", lostAnswer, []value.UpdateOption{value.Distinct()}, func(w *world) { w.put("7"); w.compact() }, "7", false, 1},
		{"idempotent: lost request", lostRequest, []value.UpdateOption{value.Idempotent()}, nil, "1", true, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, "a creation may happen whenever the key is absent, so it is sent once", func(w *world) {
				r, err := lossy(w, c.lost, c.others, c.opts...)
				if !c.ok {
					w.wantErr(err, value.ErrOutcomeUnknown)
				} else if err != nil || r.Value != 1 {
					w.broken("Update returned %d and the error %v, want 1", r.Value, err)
				}
				w.wantInTheEnd(c.want, w.Counts().Puts, c.puts)
			})
		})
	}
}

func TestCreateReportsWhetherALostCreationHasHappened(t *testing.T) {
	codec := value.JSONCodec[int]()
	create := func(w *world, lost []fault.Match, opts ...value.UpdateOption) (value.Reading[int], error) {
		w.Fail(1, kv.ErrUnavailable, lost...)
		return value.Create(w.Context(), w.Store, w.key, codec, 7, opts...)
	}
	each(t, "Create is not sent again, unless that does no harm", func(w *world) {
		_, err := create(w, lostRequest)
		w.wantErr(err, value.ErrOutcomeUnknown, kv.ErrUnavailable)
		w.wantStored("", 0)

		r, err := create(w, lostAnswer, value.Distinct())
		w.wantUpdated(r, err, 7, r.Revision)
		w.delete()

		r, err = create(w, lostAnswer, value.Idempotent())
		w.wantUpdated(r, err, 7, r.Revision)
		again, err := value.Create(w.Context(), w.Store, w.key, codec, 7, value.Idempotent())
		w.wantUpdated(again, err, 7, r.Revision)
		_, err = value.Create(w.Context(), w.Store, w.key, codec, 8, value.Idempotent())
		w.wantErr(err, kv.ErrConflict)
		w.delete()

		r, err = create(w, lostRequest, value.Idempotent())
		w.wantUpdated(r, err, 7, r.Revision)
	})
	each(t, "an idempotent Create that may have happened does not return ErrConflict", func(w *world) {
		w.Fail(1, kv.ErrUnavailable, lostAnswer...)
		h := w.Hold(fault.Gets, onCall(2))
		done := make(chan error)
		go func() {
			_, err := value.Create(w.Context(), w.Store, w.key, codec, 7, value.Idempotent())
			done <- err
		}()
		w.Held(h)
		w.put("8")
		h.Release()
		err := <-done
		w.wantErr(err, value.ErrOutcomeUnknown)
		if errors.Is(err, kv.ErrConflict) {
			w.broken("the error %q matches kv.ErrConflict, which would mean that nothing was written", err)
		}
	})
}

func TestDeleteReportsWhetherALostDeletionHasHappened(t *testing.T) {
	lostAnswer := []fault.Match{fault.Deletes, fault.Answered}
	for _, c := range []struct {
		name    string
		lost    []fault.Match
		opts    []value.UpdateOption
		others  after
		want    string
		unknown bool
		sent    int
	}{
		{"a lost request is sent again", []fault.Match{fault.Deletes}, nil, nil, "", false, 2},
		{"a lost request, then another value", []fault.Match{fault.Deletes}, nil, func(w *world) { w.put("20") }, "", false, 2},
		{"a lost request, then a deletion", []fault.Match{fault.Deletes}, nil, func(w *world) { w.delete() }, "", true, 1},
		{"a lost acknowledgement may be another's", lostAnswer, nil, nil, "", true, 1},
		{"distinct does not help", lostAnswer, []value.UpdateOption{value.Distinct()}, nil, "", true, 1},
		{"a lost acknowledgement, then a creation", lostAnswer, nil, func(w *world) { w.put("20") }, "20", true, 1},
		{"idempotent: a lost acknowledgement", lostAnswer, []value.UpdateOption{value.Idempotent()}, nil, "", false, 1},
		{"idempotent: a lost acknowledgement, then a creation", lostAnswer, []value.UpdateOption{value.Idempotent()}, func(w *world) { w.put("20") }, "", false, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, "a deletion whose acknowledgement is lost happens at most once, and Delete says whether it did", func(w *world) {
				w.put("10")
				w.Fail(1, kv.ErrUnavailable, c.lost...)
				h := w.Hold(fault.Gets, onCall(2))
				done := make(chan error)
				go func() {
					_, err := value.Delete(w.Context(), w.Store, w.key, value.JSONCodec[int](), nil, c.opts...)
					done <- err
				}()
				w.Held(h)
				if c.others != nil {
					c.others(w)
				}
				h.Release()
				err := <-done
				if c.unknown {
					w.wantErr(err, value.ErrOutcomeUnknown)
				} else {
					w.must(err)
				}
				w.wantInTheEnd(c.want, w.Counts().Deletes, c.sent)
			})
		})
	}
}

func TestAnUnknownOutcomeNamesItsReason(t *testing.T) {
	for _, c := range []struct {
		name   string
		others after
		want   []error
	}{
		{"permission", func(w *world) { w.Fail(1, kv.ErrPermission, fault.Gets, fault.Answered) }, []error{kv.ErrPermission, kv.ErrUnavailable}},
		{"closed", func(w *world) { w.Fail(1, kv.ErrClosed, fault.Gets, fault.Answered) }, []error{kv.ErrClosed}},
		{"compacted", func(w *world) { w.put("20"); w.put("30"); w.compact() }, []error{kv.ErrCompacted}},
		{"no permission to watch", func(w *world) { w.put("20"); w.put("30"); w.Fail(1, kv.ErrPermission, fault.Watches) }, []error{kv.ErrPermission}},
		{"replaced while the history is read", func(w *world) { w.put("20"); w.put("30"); w.Fail(1, kv.ErrReset, fault.Watches) }, []error{kv.ErrReset}},
		{"restored to before the value", func(w *world) { w.must(w.backend.Restore(w.Context())) }, []error{kv.ErrReset}},
		{"restored, and the key is at its revision with another value", func(w *world) {
			w.must(w.backend.Restore(w.Context()))
			w.put("70") // this gets the revision of the value that Update has read
			w.putOther()
		}, []error{kv.ErrReset}},
		{"a history that lacks the change", func(w *world) { w.put("20"); w.put("30"); w.Drop(1) }, []error{value.ErrLostEvent}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, "the reason of an unknown outcome is in its error", func(w *world) {
				w.putOther()
				w.must(w.backend.Backup(w.Context()))
				w.put("10")
				_, err := lossy(w, lostRequest, c.others, value.Distinct())
				w.wantErr(err, append(c.want, value.ErrOutcomeUnknown)...)
			})
		})
	}
}

func TestTheHistoryIsReadDespiteOutages(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(w *world)
	}{
		{"of watches", func(w *world) { w.Fail(3, kv.ErrUnavailable, fault.Watches) }},
		{"that end watches quietly", func(w *world) {
			h := w.Hold(fault.Watches, fault.Answered)
			go func() {
				if h.Wait(w.Context()) == nil {
					w.EndStreams(nil)
				}
				h.Release()
			}()
		}},
		{"of a watch that is silent", func(w *world) {
			h := w.Hold(fault.Watches, fault.Answered)
			go func() {
				if h.Wait(w.Context()) == nil {
					w.Silence()
				}
				h.Release()
			}()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, "an outage delays the answer, and a silent watch is opened again", func(w *world) {
				first := w.put("10")
				began := time.Now()
				r, err := lossy(w, lostAnswer, func(w *world) { w.put("20"); w.put("30"); c.fail(w) }, value.Distinct())
				if err != nil || r.Revision != first+1 {
					w.broken("Update returned revision %d and the error %v, want %d", r.Revision, err, first+1)
				}
				if d := time.Since(began); d > time.Minute {
					w.broken("it took %v", d)
				}
			})
		})
	}
}

func TestAnIdempotentUpdateThatFailsLaterIsStillUnknown(t *testing.T) {
	refusal := errors.New("not any more")
	inBubble(t, "if a lost write may have happened, each later error says so", func(w *world) {
		w.put("10")
		w.Fail(1, kv.ErrUnavailable, lostAnswer...)
		_, err := update(w, func(old int, _ bool) (int, error) {
			if old == 11 {
				return 0, refusal
			}
			return old + 1, nil
		}, value.Idempotent())
		w.wantErr(err, value.ErrOutcomeUnknown, refusal)
	})
}

func TestAWriteThatAlwaysFailsEndsWithItsContext(t *testing.T) {
	inBubble(t, "a store that can be read and not written is tried until the context ends", func(w *world) {
		at := w.put("10")
		w.Fail(-1, kv.ErrUnavailable, fault.Puts)
		ctx, cancel := context.WithTimeout(w.Context(), 10*time.Minute)
		defer cancel()
		_, err := value.Update(ctx, w.Store, w.key, value.JSONCodec[int](), func(int, bool) (int, error) { return 11, nil })
		w.wantErr(err, value.ErrOutcomeUnknown, context.DeadlineExceeded)
		w.wantStored("10", at)
		if n := w.Counts().Puts; n < 60 || n > 150 {
			w.broken("%d writes were sent in ten minutes", n)
		}
	})
}
