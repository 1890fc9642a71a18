package server

import (
	"slices"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// Defects are bugs that versions of etcd had. A server has those that are set. Package etcdmem describes them.
type Defects struct {
	ProgressRunsAhead       bool
	CompactionForgetsSlow   bool
	CompactionForgetsDelete bool
	SnapshotWakesFuture     bool
}

// withoutForgotten returns the changes that a watch that is behind gets. The defect loses deletions at exactly the revision of a compaction.
func (d *Defects) withoutForgotten(records []*mvcc.Record, compacted int64) []*mvcc.Record {
	if !d.CompactionForgetsDelete {
		return records
	}
	return slices.DeleteFunc(records, func(rec *mvcc.Record) bool { return rec.Deletion() && rec.Modify == compacted })
}

// progressAhead is [watchStream.progress] with the defect. It answers at once, even if the watches are not as far. The answer overtakes what
// waits in the queue.
func (ws *watchStream) progressAhead(h *hub) {
	ws.push(progressOf(h.now.revision))
	last := len(ws.queue) - 1
	ws.queue = slices.Insert(ws.queue[:last], 0, ws.queue[last])
}
