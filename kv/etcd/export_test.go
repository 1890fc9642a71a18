package etcd

import (
	"testing"
	"time"
)

// SetCreateGrace has watches that are given up wait for so long, until the end of the test.
func SetCreateGrace(t testing.TB, d time.Duration) {
	before := createGrace
	createGrace = d
	t.Cleanup(func() { createGrace = before })
}
