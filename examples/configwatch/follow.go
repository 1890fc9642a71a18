package main

import (
	"context"
	"errors"
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
		var bad *value.DecodeError
		switch {
		case errors.As(err, &bad):
			log.Print(bad) // and keep the limits there are
		case err != nil:
			return err
		default:
			apply(l)
		}
	}
}
