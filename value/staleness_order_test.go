package value

import (
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv/memory"
)

// A Get returns ErrStale when its watcher has been open for too long without an answer, and Status is stale when the Value has.
func TestV11AWatcherIsNotStaleBeforeItsValue(t *testing.T) {
	v := New(memory.New(), "/a", String, WithMaxStaleness(time.Second))
	w := v.Watch()
	defer w.Close()
	_, opened := v.supply.users()
	if since := w.reader.special().limit.opened; since.Before(opened) {
		t.Errorf("promised: Status is stale when a Get returns ErrStale; its watcher counts from %v before the Value does", opened.Sub(since))
	}
}
