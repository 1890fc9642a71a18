package pgkv

import (
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

// failures makes the errors of this package.
var failures = backend.Errors{Store: "pgkv", Reason: func(err error) error {
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, puddle.ErrClosedPool):
		return kv.ErrClosed
	case !errors.As(err, &pg):
		return kv.ErrUnavailable // the network, or the server's end of it
	}
	switch pg.Code {
	case "42501", "28000", "28P01": // insufficient_privilege, invalid_authorization_specification, invalid_password
		return kv.ErrPermission
	}
	return kv.ErrUnavailable // a server that starts or stops, too many connections, a serialization failure, a missing table
}}

// errStandby is the error of a statement that found no row, because a server that is not the primary answered it.
var errStandby = errors.New("the server is a standby, or the table state is empty")

func standby(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return errStandby
	}
	return err
}
