package kv

import (
	"context"
	"fmt"
)

// GetKey returns the entry of one key. If the key does not exist, the error matches [ErrNotFound]. Other errors are the
// store's.
func GetKey(ctx context.Context, s Store, key string) (Entry, error) {
	snapshot, err := s.Get(ctx, Key(key))
	if err != nil {
		return Entry{}, err
	}
	if len(snapshot.Entries) == 0 {
		return Entry{}, fmt.Errorf("kv: get %q: %w", key, ErrNotFound)
	}
	return snapshot.Entries[0], nil
}
