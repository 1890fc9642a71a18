package mvcc

// Record is one change of one key. It is never modified once it is in a [Store].
type Record struct {
	Key            string
	Value          string
	Create, Modify int64 // revisions
	Version        int64 // zero for a deletion
	Lease          int64 // zero for none
}

// Deletion reports whether the change is a deletion. A deletion has only a Key and the Modify revision.
func (r *Record) Deletion() bool { return r.Version == 0 }
