package follow_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/watchkv/watchkv/internal/follow"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

const key = "/key"

func begin(t *testing.T, store follow.Store) *follow.Log {
	t.Helper()
	log, err := follow.Begin(t.Context(), store, key)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantUpdates resolves the log and checks its last epoch.
func wantUpdates(t *testing.T, log *follow.Log, want ...follow.Update) {
	t.Helper()
	_, err := log.Resolve(t.Context())
	check(t, err)
	h := log.History()
	if got := h.Epochs[len(h.Epochs)-1].Updates; !reflect.DeepEqual(got, want) {
		t.Errorf("the log has %v, want %v", got, want)
	}
}

func TestTheLogKnowsWhatWasWritten(t *testing.T) {
	log := begin(t, memory.New())
	check(t, log.Delete(t.Context())) // of nothing
	check(t, log.Put(t.Context()))
	check(t, log.PutBad(t.Context()))
	check(t, log.Delete(t.Context()))
	want := []follow.Update{{Revision: 2, State: follow.Good, Value: "1"}, {Revision: 3, State: follow.Bad, Value: "bad 2"}, {Revision: 4}}
	wantUpdates(t, log, want...)
	wantUpdates(t, log, want...)
	if acknowledged, unknown := log.Writes(); acknowledged != 4 || unknown != 0 {
		t.Errorf("%d writes were acknowledged and %d not, want 4 and 0", acknowledged, unknown)
	}
}

func TestTheLogKnowsWhatTheKeyWasBefore(t *testing.T) {
	store := memory.New()
	_, err := store.Put(t.Context(), key, []byte("1"))
	check(t, err)
	wantUpdates(t, begin(t, store), follow.Update{Revision: 2, State: follow.Good, Value: "1"})
}

func TestTheLogFindsOutWhatBecameOfAWrite(t *testing.T) {
	store := fault.New(memory.New())
	log := begin(t, store)
	lose := func(write func(context.Context) error, when ...fault.Match) {
		t.Helper()
		store.Fail(1, kv.ErrUnavailable, when...)
		if err := write(t.Context()); !errors.Is(err, kv.ErrUnavailable) {
			t.Fatalf("a write that was to be lost gives %v", err)
		}
	}
	lose(log.Put)
	lose(log.Put, fault.Answered)
	lose(log.Delete)
	lose(log.Delete, fault.Answered)
	wantUpdates(t, log, follow.Update{Revision: 2, State: follow.Good, Value: "2"}, follow.Update{Revision: 3})
}

func TestTheLogFollowsARestore(t *testing.T) {
	store := memory.New()
	log := begin(t, store)
	check(t, log.Put(t.Context()))
	backup := store.Backup()
	check(t, log.Put(t.Context()))
	check(t, log.Restore(t.Context(), func(context.Context) (kv.Revision, error) {
		return backup.Revision(), store.Restore(backup)
	}))
	check(t, log.Put(t.Context()))
	wantUpdates(t, log, follow.Update{Revision: 2, State: follow.Good, Value: "1"}, follow.Update{Revision: 3, State: follow.Good, Value: "3"})
	if h := log.History(); len(h.Epochs) != 2 || h.Epochs[1].Base != 2 || len(h.Epochs[0].Updates) != 2 {
		t.Errorf("the log has the epochs %+v", h.Epochs)
	}
}

func TestTheLogOutlivesACompaction(t *testing.T) {
	store := memory.New()
	log := begin(t, store)
	check(t, log.Put(t.Context()))
	check(t, log.Forget(t.Context(), store.Compact))
	check(t, log.Put(t.Context()))
	wantUpdates(t, log, follow.Update{Revision: 2, State: follow.Good, Value: "1"}, follow.Update{Revision: 4, State: follow.Good, Value: "2"})
	if forgotten := log.History().Epochs[0].Forgotten; forgotten != 3 {
		t.Errorf("the log has it that the store forgot what was before %d, want 3", forgotten)
	}
}

// forgetful acknowledges puts of the key that it does not do.
type forgetful struct{ *memory.Store }

func (s forgetful) Put(ctx context.Context, k string, v []byte, c ...kv.Condition) (kv.Revision, error) {
	if k == key {
		k = "/another"
	}
	return s.Store.Put(ctx, k, v, c...)
}

func TestTheLogNoticesAWriteThatWasLost(t *testing.T) {
	log := begin(t, forgetful{memory.New()})
	check(t, log.Put(t.Context()))
	if _, err := log.Resolve(t.Context()); err == nil || !strings.Contains(err.Error(), "acknowledged") {
		t.Errorf("Resolve returned %v, want that an acknowledged write is not there", err)
	}
}

func TestTheLogNoticesWhatItDidNotWrite(t *testing.T) {
	for name, write := range map[string]func(*memory.Store) error{
		"a put":      func(s *memory.Store) error { _, err := s.Put(t.Context(), key, []byte("7")); return err },
		"a deletion": func(s *memory.Store) error { _, err := s.Delete(t.Context(), key); return err },
	} {
		t.Run(name, func(t *testing.T) {
			store := memory.New()
			log := begin(t, store)
			check(t, log.Put(t.Context()))
			check(t, write(store))
			if _, err := log.Resolve(t.Context()); err == nil || !strings.Contains(err.Error(), "not written") {
				t.Errorf("Resolve returned %v, want that something was not written", err)
			}
		})
	}
}
