package mvcc

const (
	// BatchRevisions is the largest number of revisions that a watch delivers at once, as in etcd.
	BatchRevisions = 1000
	// scanAtOnce is how many records of history are scanned before other calls may run.
	scanAtOnce = 2048
)

// Changes collects what a watch has yet to deliver.
type Changes struct {
	MaxBytes int   // of keys and values, after which it is full; zero for no limit
	Until    int64 // the last revision to collect; zero for no limit

	Records   []*Record
	revisions int
	bytes     int
}

// Full reports whether enough is collected. What belongs to the last revision still comes in.
func (c *Changes) Full() bool {
	return c.revisions >= BatchRevisions || c.MaxBytes > 0 && c.bytes >= c.MaxBytes
}

// wants reports whether rec belongs to what is collected.
func (c *Changes) wants(rec *Record) bool {
	return (c.Until == 0 || rec.Modify <= c.Until) && !(c.Full() && c.Records[len(c.Records)-1].Modify != rec.Modify)
}

func (c *Changes) add(rec *Record) {
	if n := len(c.Records); n == 0 || c.Records[n-1].Modify != rec.Modify {
		c.revisions++
	}
	c.Records = append(c.Records, rec)
	c.bytes += len(rec.Key) + len(rec.Value)
}

// Collect adds the changes of r since the revision from, until c is full or many records were scanned. It returns the
// revision to continue from, or zero at the end.
func (c *Changes) Collect(s *Store, r Range, from int64) int64 {
	if key, ok := r.Key(); ok {
		return c.addAll(s.history.ofKey(key, s.live.Get, from))
	}
	return c.scan(&s.history, from, r)
}

func (c *Changes) addAll(records []*Record) int64 {
	for _, rec := range records {
		if !c.wants(rec) {
			return rec.Modify
		}
		c.add(rec)
	}
	return 0
}

func (c *Changes) scan(h *history, from int64, r Range) int64 {
	first := h.since(from)
	for i := first; i < h.count; i++ {
		rec := h.at(i)
		if i-first >= scanAtOnce && rec.Modify != h.at(i-1).Modify {
			return rec.Modify
		}
		if !r.Contains(rec.Key) {
			continue
		}
		if !c.wants(rec) {
			return rec.Modify
		}
		c.add(rec)
	}
	return 0
}

// Since calls f with the changes since the revision from, in order, until f returns false.
func (s *Store) Since(from int64, f func(*Record) bool) {
	for i := s.history.since(from); i < s.history.count; i++ {
		if !f(s.history.at(i)) {
			return
		}
	}
}
