// Package leaktest fails a test that leaves a goroutine behind.
package leaktest

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds how long a goroutine may take to end after it was asked to. It only limits a failure: on a busy
// machine the half second that goleak waits by itself can be too short for a connection to be closed at both its ends.
const patience = 10 * time.Second

// Check makes t fail if, once its later cleanups have run, a goroutine is running that was not running when
// Check was called. Call it first in a test, so that it is the last to look.
func Check(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		began := time.Now()
		err := goleak.Find(before)
		for err != nil && time.Since(began) < patience {
			err = goleak.Find(before)
		}
		if err != nil {
			t.Errorf("goroutines were left behind: %v", err)
		}
	})
}
