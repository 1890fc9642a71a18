package pgkv_test

import (
	"errors"
	"testing"

	"github.com/watchkv/watchkv/kv"
)

// W13: if Get, a write or a watch has returned a revision of a lost history, a new watch after it is reset, even when the new history has passed that
// revision.
func TestW13ARevisionOfALostHistoryIsKnown(t *testing.T) {
	for _, written := range []int{0, 9} { // after the restore, by another store
		o := open(t, shared, newName("lost"))
		putMany(t, o, "k", 3)
		restore, err := o.backup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		other := open(t, shared, o.schema)
		byWrite := putMany(t, o, "k", 1)
		byWatch := putMany(t, other, "k", 1)
		for batch, err := range o.Watch(t.Context(), kv.All(), byWrite) {
			if err != nil || batch.Revision != byWatch {
				t.Fatalf("the watch yields %v, %v, want revision %d", batch, err, byWatch)
			}
			break
		}
		putMany(t, other, "k", 1)
		snapshot, err := o.Get(t.Context(), kv.Key("k"))
		if err != nil {
			t.Fatal(err)
		}
		if err := restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		putMany(t, other, "k", written)
		for how, rev := range map[string]kv.Revision{"a Get": snapshot.Revision, "a write": byWrite, "a watch": byWatch} {
			for batch, err := range o.Watch(t.Context(), kv.All(), rev) {
				if !errors.Is(err, kv.ErrReset) {
					t.Errorf("%s returned revision %d, the database was restored to 3 and written %d times, and a watch after it yields %v, %v; want ErrReset",
						how, rev, written, batch, err)
				}
				break
			}
		}
		if snapshot, err = o.Get(t.Context(), kv.Key("k")); err != nil || snapshot.Revision != kv.Revision(3+written) {
			t.Errorf("after that a Get is at %d, %v, want %d", snapshot.Revision, err, 3+written)
		}
	}
}
