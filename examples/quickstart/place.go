package main

import (
	"context"

	"github.com/watchkv/watchkv/kv"
)

// place is a store for the story, with its faults.
type place struct {
	about string
	key   string // used by no other program
	first view

	// second is called once the first program is watching.
	second func(ctx context.Context) (view, error)

	writer kv.Writer // set, as faults, when second has returned
	faults *faults   // nil if the program may make no faults
	close  func() error
}

// view is the store as one program has it.
type view struct {
	store kv.Store
	name  string // the name of the program's connection
}

// faults are the faults of a store.
type faults struct {
	stop, start     deed // stop and start the member that serves both programs; the second program knows no other
	partition, heal deed // separate that member from the two others
	cut, mend       deed // cut the second program off from the whole cluster
	compact         func(ctx context.Context, before kv.Revision) error
	watches         func(ctx context.Context, each int) error // waits until the store serves as many to each program
}

// deed is one action, with its name in the table.
type deed struct {
	name string
	do   func(context.Context) error
}
