package kv_test

import (
	"errors"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
)

func TestConditionsHoldOnlyForTheirRevision(t *testing.T) {
	leaktest.Check(t)
	tests := []struct {
		c     kv.Condition
		mod   kv.Revision
		holds bool
	}{
		{kv.Condition{}, 0, true},
		{kv.Condition{}, 5, true},
		{kv.IfAbsent(), 0, true},
		{kv.IfAbsent(), 5, false},
		{kv.IfRevision(0), 0, true},
		{kv.IfRevision(5), 5, true},
		{kv.IfRevision(5), 6, false},
		{kv.IfRevision(5), 0, false},
	}
	for _, test := range tests {
		if got := test.c.Holds(test.mod); got != test.holds {
			t.Errorf("%v holds at %d: %t, want %t", test.c, test.mod, got, test.holds)
		}
	}
	if _, ok := (kv.Condition{}).ModRevision(); ok {
		t.Error("the zero condition asks for a revision")
	}
	if rev, ok := kv.IfRevision(5).ModRevision(); rev != 5 || !ok {
		t.Errorf("IfRevision(5) asks for %d, %t", rev, ok)
	}
	if kv.IfAbsent() != kv.IfRevision(0) {
		t.Error("IfAbsent is not IfRevision(0)")
	}
}

func TestOpsHaveTheirArguments(t *testing.T) {
	leaktest.Check(t)
	p := kv.PutOp("/a", []byte("v"), kv.IfAbsent())
	if p.Type != kv.EventPut || p.Key != "/a" || string(p.Value) != "v" || len(p.Conditions) != 1 {
		t.Errorf("PutOp made %+v", p)
	}
	d := kv.DeleteOp("/a", kv.IfRevision(2), kv.IfRevision(2))
	if d.Type != kv.EventDelete || d.Key != "/a" || d.Value != nil || len(d.Conditions) != 2 {
		t.Errorf("DeleteOp made %+v", d)
	}
}

func TestClonesShareNoBytes(t *testing.T) {
	leaktest.Check(t)
	event := kv.Event{Type: kv.EventPut, Entry: kv.Entry{Key: "/a", Value: []byte("v"), Version: 1}}
	clone := event.Clone()
	entry := event.Entry.Clone()
	event.Value[0] = 'X'
	if string(clone.Value) != "v" || string(entry.Value) != "v" || clone.Key != "/a" || clone.Version != 1 {
		t.Errorf("the clones are %+v and %+v", clone, entry)
	}
}

func TestBookmarkIsABatchWithoutEvents(t *testing.T) {
	leaktest.Check(t)
	if !(kv.Batch{Revision: 3}).IsBookmark() || (kv.Batch{Revision: 3, Events: make([]kv.Event, 1)}).IsBookmark() {
		t.Error("IsBookmark is wrong")
	}
	if kv.EventPut.String() != "put" || kv.EventDelete.String() != "delete" {
		t.Errorf("events are called %v and %v", kv.EventPut, kv.EventDelete)
	}
}

func TestOpsAreValidatedInTheirOrder(t *testing.T) {
	leaktest.Check(t)
	put, unknown := kv.PutOp("a", nil), kv.Op{Type: 9, Key: "b"}
	tests := []struct {
		name string
		ops  []kv.Op
		want error
	}{
		{"none", nil, nil},
		{"one", []kv.Op{put}, nil},
		{"of several keys", []kv.Op{put, kv.DeleteOp("b"), kv.PutOp("c", nil, kv.IfAbsent())}, nil},
		{"of the empty key", []kv.Op{kv.DeleteOp("")}, kv.ErrInvalidKey},
		{"of an unknown type", []kv.Op{unknown}, kv.ErrUnsupported},
		{"of one key twice", []kv.Op{put, kv.DeleteOp("b"), kv.DeleteOp("a")}, kv.ErrInvalidKey},
		{"twice, then unknown", []kv.Op{put, put, unknown}, kv.ErrInvalidKey},
		{"unknown, then twice", []kv.Op{unknown, put, put}, kv.ErrUnsupported},
	}
	for _, test := range tests {
		if err := kv.ValidateOps(test.ops); !errors.Is(err, test.want) {
			t.Errorf("ops %s: the error is %v, want %v", test.name, err, test.want)
		}
	}
}
