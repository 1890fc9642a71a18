package program

import (
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// complaints returns what is wrong with the batches of a watch. Stores may make batches of revisions in different ways, so the answers of
// two stores are compared by events. complaints checks that the batches keep the contract.
func (r *run) complaints(batches []kv.Batch) (all []string) {
	complain := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	var complete kv.Revision
	for _, batch := range batches {
		last := complete
		for i, event := range batch.Events {
			if event.ModRevision < last || i == 0 && event.ModRevision == last {
				complain("W2, W3, W5 or W7: %v of %q at %s came after a batch up to %s",
					event.Type, event.Key, r.relative(event.ModRevision), r.relative(last))
			}
			last = event.ModRevision
		}
		if batch.Revision < last || !batch.IsBookmark() && batch.Revision > last {
			complain("W7: a batch of %d events is up to %s, its last event or the batch before it up to %s",
				len(batch.Events), r.relative(batch.Revision), r.relative(last))
		}
		complete = max(complete, batch.Revision)
	}
	return all
}
