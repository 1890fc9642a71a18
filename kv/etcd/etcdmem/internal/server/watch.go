package server

import "github.com/watchkv/watchkv/kv/internal/mvcc"

// watch is one watch of a stream.
type watch struct {
	stream *watchStream
	id     int64
	keys   mvcc.Range
	start  int64 // the revision that the client requested, or zero for the next one
	next   int64 // it has got everything before this revision
	noPut  bool
	noDel  bool
	prevKV bool

	fragment bool
	notify   bool // progress notifications are wanted
	progress bool // the next one is due, because no event has been sent since the last one
	state    watchState
	held     *response // what did not fit into the stream's queue
	place    mvcc.Place[*watch]
	number   int
}

type watchState uint8

const (
	watchSynced   watchState = iota
	watchUnsynced            // it is behind
	watchHeld                // its next response waits for room in its stream's queue
	watchEnded               // its history was compacted, or it was cancelled
)

// Place implements [mvcc.Watch].
func (w *watch) Place() *mvcc.Place[*watch] { return &w.place }
