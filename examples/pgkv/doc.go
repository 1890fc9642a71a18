// Package pgkv is a [kv.Store] over PostgreSQL.
package pgkv
