package main

import (
	"context"
	"log"

	"github.com/watchkv/watchkv/value"
)

// Limits is the configuration: JSON, under one key.
type Limits struct {
	RPS int `json:"rps"`
}

// follow calls apply with the current limits, and again each time they change, until ctx ends.
func follow(ctx context.Context, limits *value.Value[Limits], apply func(Limits)) error {
	w := limits.Watch()
	defer w.Close()
	for {
		l, err := w.Get(ctx) // first the current value, then waits for a newer one
		switch {
		case err == nil:
			apply(l)
		case ctx.Err() != nil || value.IsFinal(err):
			return err
		default:
			log.Print(err) // a value that does not decode, or a withdrawn permission: keep the current limits
		}
	}
}
