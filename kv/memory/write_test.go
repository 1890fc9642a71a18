package memory_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestDeletingAMissingKeyMakesNoRevision(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	put(t, s, "/a", "1")
	if got := remove(t, s, "/b"); got != 2 {
		t.Errorf("deleting a missing key returned revision %d, want the current one, 2", got)
	}
	rev, err := s.Commit(t.Context(), kv.DeleteOp("/b"), kv.DeleteOp("/c"))
	if rev != 2 || err != nil {
		t.Errorf("deleting missing keys returned %d, %v, want 2", rev, err)
	}
	if rev, err := s.Commit(t.Context()); rev != 2 || err != nil {
		t.Errorf("an empty commit returned %d, %v, want 2", rev, err)
	}
	if got := get(t, s, kv.All()).Revision; got != 2 {
		t.Errorf("the store is at %d, want 2", got)
	}
}

func TestConditionsAreAboutTheModRevision(t *testing.T) {
	leaktest.Check(t)
	// Every row starts with /a put at 2 and 3, and /gone put at 4 and deleted at 5.
	tests := []struct {
		key        string
		conditions []kv.Condition
		holds      bool
	}{
		{"/a", nil, true},
		{"/a", []kv.Condition{{}}, true},
		{"/a", []kv.Condition{kv.IfRevision(3)}, true},
		{"/a", []kv.Condition{kv.IfRevision(2)}, false},
		{"/a", []kv.Condition{kv.IfRevision(4)}, false},
		{"/a", []kv.Condition{kv.IfRevision(-1)}, false},
		{"/a", []kv.Condition{kv.IfAbsent()}, false},
		{"/a", []kv.Condition{kv.IfRevision(3), kv.IfRevision(3)}, true},
		{"/a", []kv.Condition{kv.IfRevision(3), kv.IfRevision(2)}, false},
		{"/gone", []kv.Condition{kv.IfAbsent()}, true},
		{"/gone", []kv.Condition{kv.IfRevision(4)}, false},
		{"/gone", []kv.Condition{kv.IfRevision(5)}, false},
		{"/never", []kv.Condition{kv.IfAbsent()}, true},
		{"/never", []kv.Condition{kv.IfRevision(2)}, false},
	}
	operations := map[string]func(s *memory.Store, key string, c []kv.Condition) (kv.Revision, error){
		"put": func(s *memory.Store, key string, c []kv.Condition) (kv.Revision, error) {
			return s.Put(t.Context(), key, []byte("new"), c...)
		},
		"delete": func(s *memory.Store, key string, c []kv.Condition) (kv.Revision, error) {
			return s.Delete(t.Context(), key, c...)
		},
		"commit": func(s *memory.Store, key string, c []kv.Condition) (kv.Revision, error) {
			return s.Commit(t.Context(), kv.PutOp("/other", nil), kv.PutOp(key, []byte("new"), c...))
		},
	}
	for name, operate := range operations {
		for _, test := range tests {
			s := memory.New()
			put(t, s, "/a", "1")
			put(t, s, "/a", "2")
			put(t, s, "/gone", "1")
			remove(t, s, "/gone")
			before := get(t, s, kv.All())

			want := kv.Revision(6)
			if name == "delete" && test.key != "/a" {
				want = 5 // there is nothing to delete
			}
			rev, err := operate(s, test.key, test.conditions)
			switch {
			case test.holds && (err != nil || rev != want):
				t.Errorf("%s %q with %v returned %d, %v, want %d", name, test.key, test.conditions, rev, err, want)
			case !test.holds && !errors.Is(err, kv.ErrConflict):
				t.Errorf("%s %q with %v returned %d, %v, want ErrConflict", name, test.key, test.conditions, rev, err)
			case !test.holds:
				diff(t, get(t, s, kv.All()), before)
			}
		}
	}
}

func TestCommitIsOneRevisionOrNothing(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	put(t, s, "/a", "1")
	put(t, s, "/b", "1")

	// Conditions are about the store before the commit: /c does not exist, although the commit puts it.
	rev, err := s.Commit(t.Context(),
		kv.PutOp("/c", []byte("1"), kv.IfAbsent()),
		kv.DeleteOp("/missing"),
		kv.DeleteOp("/b", kv.IfRevision(3)),
		kv.PutOp("/a", []byte("2"), kv.IfRevision(2)),
	)
	if rev != 4 || err != nil {
		t.Fatalf("commit returned %d, %v, want 4", rev, err)
	}
	want := kv.Snapshot{Revision: 4, Entries: []kv.Entry{
		{Key: "/a", Value: []byte("2"), CreateRevision: 2, ModRevision: 4, Version: 2},
		{Key: "/c", Value: []byte("1"), CreateRevision: 4, ModRevision: 4, Version: 1},
	}}
	diff(t, get(t, s, kv.All()), want)
	diff(t, take(t, s, kv.All(), 3, 1), []kv.Batch{{Revision: 4, Events: []kv.Event{
		{Type: kv.EventPut, Entry: want.Entries[1]},
		{Type: kv.EventDelete, Entry: kv.Entry{Key: "/b", ModRevision: 4}},
		{Type: kv.EventPut, Entry: want.Entries[0]},
	}}})

	_, err = s.Commit(t.Context(), kv.PutOp("/d", nil), kv.PutOp("/a", nil, kv.IfRevision(3)))
	if !errors.Is(err, kv.ErrConflict) {
		t.Errorf("a commit with one condition that fails returned %v, want ErrConflict", err)
	}
	diff(t, get(t, s, kv.All()), want)
}

func TestLimitsCanBeSet(t *testing.T) {
	leaktest.Check(t)
	s := memory.New(memory.WithMaxOps(1), nil, memory.WithMaxRequestBytes(100)) // a nil option does nothing
	if _, err := s.Commit(t.Context(), kv.PutOp("/a", nil), kv.PutOp("/b", nil)); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("a commit of two operations, where one is allowed: %v, want ErrTooLarge", err)
	}
	if _, err := s.Put(t.Context(), "/a", make([]byte, 100)); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("a request with more bytes than allowed: %v, want ErrTooLarge", err)
	}
	s = memory.New(memory.WithMaxOps(0), memory.WithMaxRequestBytes(0))
	ops := make([]kv.Op, 1000)
	for i := range ops {
		ops[i] = kv.PutOp(fmt.Sprint(i), make([]byte, 10_000))
	}
	if _, err := s.Commit(t.Context(), ops...); err != nil {
		t.Errorf("without limits: %v", err)
	}
}

// A request exactly as large as a limit is accepted. This holds for each limit.
func TestLimitsAreInclusive(t *testing.T) {
	leaktest.Check(t)
	s := memory.New(memory.WithMaxOps(2), memory.WithMaxRequestBytes(100))
	const around = 24 + 16 + 1 // the counted size of a request, of an operation, and of its key
	for _, test := range []struct {
		name string
		want error
		do   func() error
	}{
		{"a value of the limit", nil, func() error { return second(s.Put(t.Context(), "k", make([]byte, 100-around))) }},
		{"a value of one byte more", kv.ErrTooLarge, func() error { return second(s.Put(t.Context(), "k", make([]byte, 101-around))) }},
		{"a condition, which names the key again", kv.ErrTooLarge, func() error {
			return second(s.Put(t.Context(), "k", make([]byte, 100-around), kv.IfRevision(2)))
		}},
		{"as many operations", nil, func() error { return second(s.Commit(t.Context(), kv.DeleteOp("a"), kv.DeleteOp("b"))) }},
		{"one operation more", kv.ErrTooLarge, func() error {
			return second(s.Commit(t.Context(), kv.DeleteOp("a"), kv.DeleteOp("b"), kv.DeleteOp("c")))
		}},
		{"as many conditions", nil, func() error { return second(s.Delete(t.Context(), "a", kv.IfAbsent(), kv.IfAbsent())) }},
		{"a key to read", nil, func() error { return second(s.Get(t.Context(), kv.Key(strings.Repeat("k", 100+512<<10)))) }},
		{"a key to read of one byte more", kv.ErrTooLarge, func() error {
			return second(s.Get(t.Context(), kv.Key(strings.Repeat("k", 101+512<<10))))
		}},
		{"an interval to read", nil, func() error {
			return second(s.Get(t.Context(), kv.Interval("a", strings.Repeat("k", 99+512<<10))))
		}},
		{"an interval to read of one byte more", kv.ErrTooLarge, func() error {
			return second(s.Get(t.Context(), kv.Interval("a", strings.Repeat("k", 100+512<<10))))
		}},
		{"one condition more", kv.ErrTooLarge, func() error {
			return second(s.Delete(t.Context(), "a", kv.IfAbsent(), kv.IfAbsent(), kv.IfAbsent()))
		}},
	} {
		if err := test.do(); !errors.Is(err, test.want) {
			t.Errorf("%s: the error is %v, want %v", test.name, err, test.want)
		}
	}
}
