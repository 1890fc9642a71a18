package main

import (
	"context"

	"github.com/watchkv/watchkv/kv"
)

// place is a store for the story, and the faults that it can have.
type place struct {
	about string
	key   string // used by no other program
	first view

	// second is called once the first program is watching.
	second func(ctx context.Context) (view, error)

	writer kv.Writer // set, as faults, when second has returned
	faults *faults   // nil where nothing may be broken
	close  func() error
}

// view is the store as one program has it.
type view struct {
	store kv.Store
	name  string // of the program's connection
}

// faults are what can be done to a store.
type faults struct {
	stop, start     deed // of the member that both programs are connected to; the second knows no other
	partition, heal deed // of that member and the two others
	cut, mend       deed // of the second program and the whole cluster
	compact         func(ctx context.Context, before kv.Revision) error
	watches         func(ctx context.Context, each int) error // waits until the store serves as many to each program
}

// deed is one of them, and how to say it.
type deed struct {
	name string
	do   func(context.Context) error
}
