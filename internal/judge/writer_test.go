package judge_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/watchkv/watchkv/internal/judge"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

const key = "/key"

func begin(t *testing.T, store judge.Store) *judge.Writer {
	t.Helper()
	writer, err := judge.NewWriter(t.Context(), store, key)
	if err != nil {
		t.Fatal(err)
	}
	return writer
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantUpdates resolves the writer and checks its last epoch.
func wantUpdates(t *testing.T, writer *judge.Writer, want ...judge.Update) {
	t.Helper()
	_, err := writer.Resolve(t.Context())
	check(t, err)
	h := writer.History()
	if got := h.Epochs[len(h.Epochs)-1].Updates; !reflect.DeepEqual(got, want) {
		t.Errorf("the writer has %v, want %v", got, want)
	}
}

func TestTheWriterRecordsItsWrites(t *testing.T) {
	writer := begin(t, memory.New())
	check(t, writer.Delete(t.Context())) // the key is absent
	check(t, writer.Put(t.Context()))
	check(t, writer.PutBad(t.Context()))
	check(t, writer.Delete(t.Context()))
	want := []judge.Update{{Revision: 2, State: judge.Good, Value: "1"}, {Revision: 3, State: judge.Bad, Value: "bad 2"}, {Revision: 4}}
	wantUpdates(t, writer, want...)
	wantUpdates(t, writer, want...)
	if acknowledged, unknown := writer.Writes(); acknowledged != 4 || unknown != 0 {
		t.Errorf("%d writes were acknowledged and %d were not, want 4 and 0", acknowledged, unknown)
	}
}

func TestTheWriterRecordsTheKeyFromBeforeItBegan(t *testing.T) {
	store := memory.New()
	_, err := store.Put(t.Context(), key, []byte("1"))
	check(t, err)
	wantUpdates(t, begin(t, store), judge.Update{Revision: 2, State: judge.Good, Value: "1"})
}

func TestTheWriterFindsTheOutcomeOfALostWrite(t *testing.T) {
	store := fault.New(memory.New())
	writer := begin(t, store)
	lose := func(write func(context.Context) error, when ...fault.Match) {
		t.Helper()
		store.Fail(1, kv.ErrUnavailable, when...)
		if err := write(t.Context()); !errors.Is(err, kv.ErrUnavailable) {
			t.Fatalf("a write whose request or answer was lost gives %v", err)
		}
	}
	lose(writer.Put)
	lose(writer.Put, fault.Answered)
	lose(writer.Delete)
	lose(writer.Delete, fault.Answered)
	wantUpdates(t, writer, judge.Update{Revision: 2, State: judge.Good, Value: "2"}, judge.Update{Revision: 3})
}

func TestTheWriterFollowsARestore(t *testing.T) {
	store := memory.New()
	writer := begin(t, store)
	check(t, writer.Put(t.Context()))
	backup := store.Backup()
	check(t, writer.Put(t.Context()))
	check(t, writer.Restore(t.Context(), func(context.Context) (kv.Revision, error) {
		return backup.Revision(), store.Restore(backup)
	}))
	check(t, writer.Put(t.Context()))
	wantUpdates(t, writer, judge.Update{Revision: 2, State: judge.Good, Value: "1"}, judge.Update{Revision: 3, State: judge.Good, Value: "3"})
	if h := writer.History(); len(h.Epochs) != 2 || h.Epochs[1].Base != 2 || len(h.Epochs[0].Updates) != 2 {
		t.Errorf("the writer has the epochs %+v", h.Epochs)
	}
}

func TestTheWriterSurvivesACompaction(t *testing.T) {
	store := memory.New()
	writer := begin(t, store)
	check(t, writer.Put(t.Context()))
	check(t, judge.Forget(t.Context(), writer, store.Compact))
	check(t, writer.Put(t.Context()))
	wantUpdates(t, writer, judge.Update{Revision: 2, State: judge.Good, Value: "1"}, judge.Update{Revision: 4, State: judge.Good, Value: "2"})
	if forgotten := writer.History().Epochs[0].Forgotten; forgotten != 3 {
		t.Errorf("according to the writer, the store forgot the history before %d, want 3", forgotten)
	}
}

// forgetful acknowledges puts of the key but does not do them.
type forgetful struct{ *memory.Store }

func (s forgetful) Put(ctx context.Context, k string, v []byte, c ...kv.Condition) (kv.Revision, error) {
	if k == key {
		k = "/another"
	}
	return s.Store.Put(ctx, k, v, c...)
}

func TestTheWriterDetectsALostWrite(t *testing.T) {
	writer := begin(t, forgetful{memory.New()})
	check(t, writer.Put(t.Context()))
	if _, err := writer.Resolve(t.Context()); err == nil || !strings.Contains(err.Error(), "acknowledged") {
		t.Errorf("Resolve returned %v, want an error that an acknowledged write is missing", err)
	}
}

func TestTheWriterDetectsAForeignWrite(t *testing.T) {
	for name, write := range map[string]func(*memory.Store) error{
		"a put":      func(s *memory.Store) error { _, err := s.Put(t.Context(), key, []byte("7")); return err },
		"a deletion": func(s *memory.Store) error { _, err := s.Delete(t.Context(), key); return err },
	} {
		t.Run(name, func(t *testing.T) {
			store := memory.New()
			writer := begin(t, store)
			check(t, writer.Put(t.Context()))
			check(t, write(store))
			if _, err := writer.Resolve(t.Context()); err == nil || !strings.Contains(err.Error(), "not written") {
				t.Errorf("Resolve returned %v, want an error that the history has a write that was not made", err)
			}
		})
	}
}
