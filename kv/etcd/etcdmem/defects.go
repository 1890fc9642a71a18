package etcdmem

// A Defect is a bug of watches that releases of etcd have had. With it, a test shows whether a program tolerates these releases.
type Defect int

const (
	// ProgressRunsAhead makes etcd answer a request for progress with its newest revision at once, although it has not yet sent all
	// events before that revision. A program that resumes from there loses these events. It is issue 15220 of etcd, fixed in 3.4.25
	// and 3.5.8.
	ProgressRunsAhead Defect = iota

	// CompactionForgetsSlow makes a watch continue after events that it has not sent were compacted, if its client reads so slowly
	// that the error does not fit into a buffer. The events are lost without an error. It is issue 17529 of etcd, fixed in 3.4.31 and
	// 3.5.13.
	CompactionForgetsSlow

	// CompactionForgetsDelete loses the deletions that were made at exactly the revision of a compaction, for watches that begin there and
	// for those that are behind. It is issue 18089 of etcd, fixed in 3.4.34 and 3.5.16.
	CompactionForgetsDelete

	// SnapshotWakesFuture makes a watch of a future revision begin at once when its member, which was far behind, gets the leader's
	// state. The watch then sends events before the requested revision. It is issue 20221 of etcd, fixed in 3.4.38, 3.5.22 and 3.6.2.
	SnapshotWakesFuture
)

// WithDefects gives the members bugs that etcd has had. By default they have none.
func WithDefects(defects ...Defect) Option {
	return func(o *options) {
		for _, d := range defects {
			switch all := &o.server.Defects; d {
			case ProgressRunsAhead:
				all.ProgressRunsAhead = true
			case CompactionForgetsSlow:
				all.CompactionForgetsSlow = true
			case CompactionForgetsDelete:
				all.CompactionForgetsDelete = true
			case SnapshotWakesFuture:
				all.SnapshotWakesFuture = true
			}
		}
	}
}
