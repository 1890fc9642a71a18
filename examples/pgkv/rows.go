package pgkv

import (
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// condition returns r as a condition on a column, with its arguments after args. Each form of range gives a different statement, so that
// PostgreSQL plans each with an index.
func condition(r kv.Range, column string, args []any) (string, []any) {
	n := len(args)
	if key, ok := r.Key(); ok {
		return fmt.Sprintf("%s = $%d", column, n+1), append(args, []byte(key))
	}
	from, to, bounded := r.Bounds()
	args = append(args, []byte(from))
	if !bounded {
		return fmt.Sprintf("%s >= $%d", column, n+1), args
	}
	return fmt.Sprintf("%s >= $%d AND %s < $%d", column, n+1, column, n+2), append(args, []byte(to))
}
