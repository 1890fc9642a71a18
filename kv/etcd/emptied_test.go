package etcd_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/value"
)

// A member that is started again with nothing in its data directory, under its old name, has its old identity and begins at revision 1.
// The watch that etcd's client resumes there is one of the future, and brings nothing. The check of the Value finds that out.
func TestAMemberThatHasLostItsDataIsAResetAndNotALostEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const check = 5 * time.Second
		m := newSimulated(t)
		v := value.New(etcd.New(m.client(t, etcd.KeepAlive)), "k", value.Bytes, value.WithCheck(check))
		w := v.Watch(value.EveryUpdate())
		defer w.Close()
		for range 5 {
			m.put()
		}
		must(w.Get(t.Context()))(t)
		m.stop()
		m.empty(1)
		m.start()
		m.put()
		back := time.Now()
		_, err := w.Get(t.Context())
		if took := time.Since(back); took > 2*check {
			t.Errorf("promised: data that was lost is noticed by the next check, every %v; it took %v", check, took)
		}
		if _, isGap := err.(*value.GapError); !isGap {
			t.Errorf("promised: a watcher for EveryUpdate gets a GapError when history was replaced; it got %v", err)
		}
		if s := v.Status(); s.Resets != 1 || s.Holes != 0 {
			t.Errorf("promised: lost data is a reset; Status has %d resets and %d holes", s.Resets, s.Holes)
		}
		must(w.Get(t.Context()))(t)
		if w.Revision() != 2 {
			t.Errorf("promised: what the store holds now is returned; it is of revision 2, and revision %d came", w.Revision())
		}
	})
}
