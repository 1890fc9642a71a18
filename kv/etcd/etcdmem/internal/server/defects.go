package server

import (
	"slices"

	"github.com/watchkv/watchkv/internal/mvcc"
)

// Defects are bugs that etcd has had, and that a server can be told to have. Package etcdmem describes them.
type Defects struct {
	ProgressRunsAhead       bool
	CompactionForgetsSlow   bool
	CompactionForgetsDelete bool
	SnapshotWakesFuture     bool
}

// withoutForgotten returns the changes that a watch is told of that is behind. The defect forgets deletions at the very revision of a
// compaction.
func (d *Defects) withoutForgotten(records []*mvcc.Record, compacted int64) []*mvcc.Record {
	if !d.CompactionForgetsDelete {
		return records
	}
	return slices.DeleteFunc(records, func(rec *mvcc.Record) bool { return rec.Deletion() && rec.Modify == compacted })
}

// progressAhead is [watchStream.progress] with the defect: it answers at once, without looking whether the watches are as far, and
// before what waits in the queue for them.
func (ws *watchStream) progressAhead(h *hub) {
	ws.push(progressOf(h.now.revision))
	last := len(ws.queue) - 1
	ws.queue = slices.Insert(ws.queue[:last], 0, ws.queue[last])
}
