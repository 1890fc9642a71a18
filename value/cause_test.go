package value_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
)

var errNoLeader = &kv.OpError{Store: "test", Op: "get", Reason: kv.ErrUnavailable, Cause: errors.New("no leader")}

func TestV11ASilentStoreDoesNotHideTheCause(t *testing.T) {
	inBubble(t, v11cause, func(w *world) {
		w.put("one")
		var log logbook
		v := w.text(log.option())
		a := watch(w, v)
		a.Gives("one")
		w.Fail(1, errNoLeader, fault.Reads)
		w.EndStreams(errNoLeader)
		w.pass(time.Millisecond)
		w.Freeze() // from now on nothing is answered, and the Value cancels reads and repeats them
		for range 60 {
			w.pass(10 * time.Second)
			if err := v.Status().LastError; !errors.Is(err, errNoLeader) {
				w.broken("Status says %v, want the cause, %v\nthe log:\n%s", err, errNoLeader, &log)
			}
		}
	})
}

func TestV11ACauseThatIsFoundLaterIsLoggedOnce(t *testing.T) {
	for name, begin := range map[string]func(w *world){
		"the watch ends without an error": func(w *world) {
			w.Fail(-1, errNoLeader, fault.Reads)
			w.EndStreams(nil)
		},
		"a read is not answered": func(w *world) {
			w.Freeze()
			w.EndStreams(kv.ErrUnavailable)
			w.pass(time.Minute)
			w.Fail(-1, errNoLeader, fault.Reads)
			w.Heal()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, v11cause, func(w *world) {
				w.put("one")
				var log logbook
				a := watch(w, w.text(log.option()))
				a.Gives("one")
				w.Settle()
				begin(w)
				w.pass(time.Hour)
				lost := strings.Index(log.String(), "the store cannot be reached")
				why := strings.Index(log.String(), "the store still cannot be reached, and this is why")
				if n := log.count("no leader"); n != 1 || lost < 0 || why < lost {
					w.broken("the log says the cause %d times, want once, after the loss:\n%s", n, &log)
				}
			})
		})
	}
}
