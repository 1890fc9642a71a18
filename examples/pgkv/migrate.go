package pgkv

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/watchkv/watchkv/kv"
)

// migrations has a file for each version. It turns the previous version into that version.
//
//go:embed schema/*.sql
var migrations embed.FS

// latest is the version of the tables that this package works with.
const latest = 1

// Migrate makes the tables of a store, or updates the tables of an older version of this package. It does nothing if they are up to
// date. Any number of programs may call it concurrently. It needs the permission to create objects in the database. [Open] does not.
func Migrate(ctx context.Context, pool *pgxpool.Pool, config Config) error {
	config = config.withDefaults()
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext($1))", "watchkv "+config.Schema); err != nil {
			return err
		}
		version, err := versionOf(ctx, tx, config)
		if err != nil {
			return err
		}
		if version == 0 {
			if _, err := tx.Exec(ctx, config.sql("CREATE SCHEMA IF NOT EXISTS {schema}")); err != nil {
				return err
			}
		}
		for version < latest {
			version++
			text, err := migrations.ReadFile(fmt.Sprintf("schema/%d.sql", version))
			if err != nil {
				return err
			}
			if _, err := tx.Conn().PgConn().Exec(ctx, config.sql(string(text))).ReadAll(); err != nil {
				return err
			}
		}
		return nil
	})
	return failures.Op(ctx, fmt.Sprintf("migrate schema %q", config.Schema), err)
}

// versionOf returns the version of the tables, zero if there are none.
func versionOf(ctx context.Context, q querier, config Config) (version int, err error) {
	const undefinedTable, invalidSchema = "42P01", "3F000"
	var found bool
	err = q.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", config.sql("{schema}.state")).Scan(&found)
	if err == nil && found {
		err = q.QueryRow(ctx, config.sql("SELECT version FROM {schema}.state")).Scan(&version)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == undefinedTable || pg.Code == invalidSchema) {
		return 0, nil
	}
	if err == nil && version > latest {
		err = fmt.Errorf("%w: the tables are of version %d, which is newer than this package", kv.ErrUnsupported, version)
	}
	return version, err
}

// sql puts the names of the schema and of its channel into a text.
func (c Config) sql(text string) string {
	return strings.NewReplacer(
		"{schema}", pgx.Identifier{c.Schema}.Sanitize(),
		"{channel}", "'"+strings.ReplaceAll(c.channel(), "'", "''")+"'",
		"{listen}", pgx.Identifier{c.channel()}.Sanitize(),
	).Replace(text)
}

// channel returns the channel on which writes notify.
func (c Config) channel() string { return "watchkv." + c.Schema }
