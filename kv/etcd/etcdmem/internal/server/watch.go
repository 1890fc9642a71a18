package server

import "github.com/watchkv/watchkv/internal/mvcc"

// watch is one watch of a stream.
type watch struct {
	stream *watchStream
	id     int64
	keys   mvcc.Range
	start  int64 // the revision that the client asked for, or zero for the next one
	next   int64 // it has been told of everything before this revision
	noPut  bool
	noDel  bool
	prevKV bool

	fragment bool
	notify   bool // progress notifications are wanted
	progress bool // and the next one is due, as no event has been sent since the last
	state    watchState
	held     *response // what did not fit into the stream's queue
	place    mvcc.Place[*watch]
	number   int
}

type watchState uint8

const (
	watchSynced   watchState = iota
	watchUnsynced            // it is behind
	watchHeld                // what it is told next waits for room in its stream's queue
	watchEnded               // it is compacted or canceled
)

// Place implements [mvcc.Watch].
func (w *watch) Place() *mvcc.Place[*watch] { return &w.place }
