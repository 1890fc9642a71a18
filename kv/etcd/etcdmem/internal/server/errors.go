package server

import "errors"

// These end watches. Etcd gives them to clients as text, so their texts are etcd's.
var (
	errEmptyWatchRange  = errors.New("mvcc: watcher range is empty")
	errDuplicateWatchID = errors.New("mvcc: duplicate watch ID provided on the WatchStream")
)
