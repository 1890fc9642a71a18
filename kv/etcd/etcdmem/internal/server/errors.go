package server

import "errors"

// These errors end watches. etcd sends them to clients as text, so the texts are etcd's.
var (
	errEmptyWatchRange  = errors.New("mvcc: watcher range is empty")
	errDuplicateWatchID = errors.New("mvcc: duplicate watch ID provided on the WatchStream")
)
