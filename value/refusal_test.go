package value_test

import (
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

func TestV11ARefusedWatchIsRetried(t *testing.T) {
	eachMode(t, each, "V11, a refused watch is an error of Get only if a read is refused as well", func(w *world, opts ...value.WatchOption) {
		a := w.watchFrom("one", w.text(), opts...)
		w.Streaming(1)
		w.Fail(4, kv.ErrPermission, fault.Watches)
		w.EndStreams(kv.ErrPermission)
		w.put("two")
		a.Gives("two")
		w.put("three")
		a.Gives("three")
	})
}

func TestV11ARefusedReadIsReturnedOnceForEachAttempt(t *testing.T) {
	eachMode(t, inBubble, v11refusals, func(w *world, opts ...value.WatchOption) {
		v := w.text()
		a := w.watchFrom("one", v, opts...)
		w.Settle()
		before, began := w.Counts().Gets, time.Now() // the next read may be begun before EndStreams returns
		refused := w.Fail(-1, kv.ErrPermission, fault.Reads)
		w.EndStreams(kv.ErrPermission)
		const errs = 20
		for range errs {
			a.Fails(kv.ErrPermission)
		}
		if n := w.Counts().Gets - before; n != errs {
			w.broken("%d errors were returned of %d reads", errs, n)
		}
		if d := time.Since(began); d < time.Minute {
			w.broken("%d errors were returned within %v", errs, d)
		}
		if s := v.Status(); s.Connected || !errors.Is(s.LastError, kv.ErrPermission) {
			w.broken("Status is %+v", s)
		}
		refused.Remove()
		w.put("two")
		a.Gives("two") // the watcher was not opened again
		w.put("three")
		a.Gives("three")
	})
}

func TestV11ALostPermissionIsFoundByTheCheck(t *testing.T) {
	inBubble(t, v11refusals+"; a running watch does not notice, but the check of a silent watch does", func(w *world) {
		v := w.text()
		a := w.watchFrom("one", v)
		w.Settle()
		began := time.Now()
		refused := w.Fail(-1, kv.ErrPermission, fault.Reads)
		a.Fails(kv.ErrPermission)
		if d := time.Since(began); d > 61*time.Second {
			w.broken("the lost permission was found after %v", d)
		}
		refused.Remove()
		w.pass(time.Minute)
		a.HasNothing() // nothing has changed
		w.put("two")
		a.Gives("two")
	})
}

func TestV11ARefusalThatHasEndedIsNotReturned(t *testing.T) {
	eachMode(t, inBubble, "V11, a refusal that ended while no Get ran is not returned", func(w *world, opts ...value.WatchOption) {
		a := w.watchFrom("one", w.text(), opts...)
		w.Settle()
		w.Fail(1, kv.ErrPermission, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		w.pass(time.Hour)
		a.HasNothing()
		w.put("two")
		a.Gives("two")
	})
}

func TestV11ARefusalFromTheBeginning(t *testing.T) {
	inBubble(t, v11refusals, func(w *world) {
		w.put("one")
		refused := w.Fail(-1, kv.ErrPermission, fault.Reads)
		a := watch(w, w.text())
		a.Fails(kv.ErrPermission)
		refused.Remove()
		a.Gives("one")
	})
}

func TestV11AClosedStoreIsReturned(t *testing.T) {
	eachMode(t, inBubble, "V11, ErrClosed of the store reaches Get, also one that waits", func(w *world, opts ...value.WatchOption) {
		m := memory.New()
		_, err := m.Put(w.Context(), w.key, []byte("one"))
		w.must(err)
		v := value.New(m, w.key, value.String)
		a := watch(w, v, opts...)
		a.Gives("one")
		c := a.Begin()
		c.Waits()
		m.Close()
		c.Fails(value.ErrClosed)
		began := time.Now()
		for range 20 {
			a.Fails(kv.ErrClosed)
		}
		if d := time.Since(began); d < time.Minute {
			w.broken("ErrClosed was returned 20 times within %v", d)
		}
		b := watch(w, v, opts...)
		b.Fails(kv.ErrClosed)
		for range v.Chan(w.Context(), opts...) {
		}
		n := 0
		for _, err := range b.Updates(w.Context()) {
			if n++; !errors.Is(err, kv.ErrClosed) {
				w.broken("Updates yielded the error %v", err)
			}
		}
		if n != 1 {
			w.broken("Updates of a closed store yielded %d results", n)
		}
	})
}

func TestV11WhatTheStoreCannotDoIsReturned(t *testing.T) {
	for _, reason := range []error{kv.ErrUnsupported, kv.ErrInvalidKey, kv.ErrInvalidRange} {
		for _, op := range []fault.Ops{fault.Gets, fault.Watches} {
			t.Run(reason.Error()+"/"+op.String(), func(t *testing.T) {
				inBubble(t, "V11, an error that waiting does not end reaches Get", func(w *world) {
					w.put("one")
					w.Fail(-1, reason, op)
					a := watch(w, w.text())
					if op == fault.Watches {
						v, err := a.Get(w.Context())
						if errors.Is(err, reason) { // the error of a watch that began before the read for this Get
							v, err = a.Get(w.Context())
						}
						if err != nil || v != "one" {
							w.broken("the first Get that was answered returned %s, want one", describe(v, err))
						}
					}
					began := time.Now()
					for range 20 {
						a.Fails(reason)
					}
					if d := time.Since(began); d < 30*time.Second {
						w.broken("the error was returned 20 times within %v", d)
					}
				})
			})
		}
	}
}
