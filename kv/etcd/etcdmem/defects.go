package etcdmem

// A Defect is a bug of watches that etcd has been shipped with. A test shows with it that a program bears with etcd as it was, or that
// it does not.
type Defect int

const (
	// ProgressRunsAhead has etcd answer a request for progress with its newest revision at once, although the watch has yet to be sent
	// events before it. A program that resumes from there loses these events. It is issue 15220 of etcd,
	// mended in 3.4.25 and 3.5.8.
	ProgressRunsAhead Defect = iota

	// CompactionForgetsSlow has a watch go on as if nothing had happened when the events that it lacks are compacted, if its client reads
	// so slowly that there is no room to say so. The events are lost without a word. It is issue 17529 of
	// etcd, mended in 3.4.31 and 3.5.13.
	CompactionForgetsSlow

	// CompactionForgetsDelete loses the deletions that were made at exactly the revision of a compaction, for watches that begin there and
	// for those that are behind. It is issue 18089 of etcd, mended
	// in 3.4.34 and 3.5.16.
	CompactionForgetsDelete

	// SnapshotWakesFuture has a watch of a future revision begin at once when its member, which has lagged far behind, gets the
	// leader's state: it is sent events before the revision that it has asked for. It is issue 20221 of etcd, mended in 3.4.38, 3.5.22 and
	// 3.6.2.
	SnapshotWakesFuture
)

// WithDefects has the members have bugs that etcd has had. By default they have none.
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
