// Package leaktest fails a test that leaves a goroutine behind.
package leaktest

import (
	"testing"

	"go.uber.org/goleak"
)

// Check makes t fail if, once its later cleanups have run, a goroutine is running that was not running when
// Check was called. Call it first in a test, so that it is the last to look.
func Check(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if err := goleak.Find(before); err != nil {
			t.Errorf("goroutines were left behind: %v", err)
		}
	})
}
