package natskv_test

import (
	"testing"

	"go.uber.org/goleak"
)

// W12: neither the store nor what the tests start leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
