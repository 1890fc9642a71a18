package mvcc

// Get returns the record of key, or nil if the key does not exist.
func (s *Store) Get(key string) *Record {
	rec, _ := s.live.Get(key)
	return rec
}

// Tree returns a copy of the live keys, which costs little. It may be read without the owner's lock.
func (s *Store) Tree() *Tree { return s.live.Copy() }

// Collect appends up to limit live records of r to records, starting at the key from. It returns the key to continue from,
// or "" if none is left.
func (s *Store) Collect(r Range, from string, records []*Record, limit int) (_ []*Record, more string) {
	return Collect(s.live, r, from, records, limit)
}

// Collect is [Store.Collect] on a copy of the live keys.
func Collect(tree *Tree, r Range, from string, records []*Record, limit int) (_ []*Record, more string) {
	tree.Ascend(from, func(key string, rec *Record) bool {
		switch {
		case !r.Contains(key):
			return false
		case limit == 0:
			more = key
			return false
		}
		limit--
		records = append(records, rec)
		return true
	})
	return records, more
}

// GetAt returns the record of key at a revision that is not compacted, or nil if the key did not exist. The store has a past.
func (s *Store) GetAt(key string, revision int64) *Record {
	rec, _ := s.live.Get(key)
	return s.at(key, rec, revision)
}

// at returns the record of key at revision. live is the key's current record, or nil.
func (s *Store) at(key string, live *Record, revision int64) *Record {
	if live == nil || live.Modify > revision {
		live = s.history.before(key, revision)
	}
	if live == nil || live.Deletion() {
		return nil
	}
	return live
}

// EachAt calls f with the records of r at a revision that is not compacted, in order of their keys, until f returns false.
// The store has a past.
func (s *Store) EachAt(r Range, revision int64, f func(*Record) bool) {
	if key, ok := r.Key(); ok {
		if rec := s.GetAt(key, revision); rec != nil {
			f(rec)
		}
		return
	}
	if revision >= s.Revision {
		s.live.Ascend(r.First(), func(key string, rec *Record) bool { return r.Contains(key) && f(rec) })
		return
	}
	gone := s.gone.Iter()
	next, ok := "", gone.Seek(r.First())
	if ok {
		next = gone.Key()
	}
	// before calls f with the keys that are gone and come before key, or with all that are left.
	before := func(key string, all bool) bool {
		for ok && (all || next < key) && r.Contains(next) {
			if rec := s.at(next, nil, revision); rec != nil && !f(rec) {
				return false
			}
			if ok = gone.Next(); ok {
				next = gone.Key()
			}
		}
		return true
	}
	goOn := true
	s.live.Ascend(r.First(), func(key string, live *Record) bool {
		if !r.Contains(key) {
			return false
		}
		if goOn = before(key, false); !goOn {
			return false
		}
		if rec := s.at(key, live, revision); rec != nil {
			goOn = f(rec)
		}
		return goOn
	})
	if goOn {
		before("", true)
	}
}
