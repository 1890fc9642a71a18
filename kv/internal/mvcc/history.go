package mvcc

import (
	"slices"
	"sort"
)

// history holds every change since the last compaction, in order. It can be read by revision or by key.
//
// It shares its chunks with its copies, and copies a chunk before it writes to it.
type history struct {
	past   bool // what a key was before the first change in the history is kept too
	owner  *ownership
	chunks []*chunk
	start  int // the number of records of chunks[0] that are gone
	count  int

	// byKey holds the records of each key that changed more than once since the last compaction. A key that is not in byKey
	// has at most one record in the history: the live one. This saves memory when many keys are put once. If past is set,
	// the record that was live at the last compaction precedes them.
	byKey map[string][]*Record
}

const chunkLen = 256

type chunk struct {
	owner   *ownership
	records [chunkLen]*Record
}

// ownership is identified by its address, so it must not be empty.
type ownership struct{ _ byte }

func newHistory(past bool) history {
	return history{past: past, owner: new(ownership), byKey: make(map[string][]*Record)}
}

// at returns the record at position i, counted from the oldest.
func (h *history) at(i int) *Record {
	i += h.start
	return h.chunks[i/chunkLen].records[i%chunkLen]
}

// owned returns chunk i for writing.
func (h *history) owned(i int) *chunk {
	c := h.chunks[i]
	if c.owner != h.owner {
		c = &chunk{owner: h.owner, records: c.records}
		h.chunks[i] = c
	}
	return c
}

// add appends rec, the change of its key that follows old. old is nil if the key did not exist.
func (h *history) add(old, rec *Record) {
	if list, ok := h.byKey[rec.Key]; ok {
		h.byKey[rec.Key] = append(list, rec)
	} else if old != nil {
		if h.past || h.count > 0 && old.Modify >= h.at(0).Modify {
			list = append(list, old)
		}
		h.byKey[rec.Key] = append(list, rec)
	}
	i := h.start + h.count
	if i == len(h.chunks)*chunkLen {
		h.chunks = append(h.chunks, &chunk{owner: h.owner})
	}
	h.owned(i / chunkLen).records[i%chunkLen] = rec
	h.count++
}

// dropOldest forgets the oldest record and returns it. A past history remembers it by key while it is what the key was
// before the next record.
func (h *history) dropOldest() *Record {
	rec := h.at(0)
	h.owned(0).records[h.start] = nil
	h.start++
	h.count--
	if h.start == chunkLen {
		h.chunks[0] = nil
		h.chunks = h.chunks[1:]
		h.start = 0
	}
	list, ok := h.byKey[rec.Key]
	if !ok {
		return rec
	}
	for len(list) > 0 && (list[0].Modify < rec.Modify || list[0].Modify == rec.Modify && !h.keeps(list)) {
		list[0] = nil
		list = list[1:]
	}
	if len(list) == 0 {
		delete(h.byKey, rec.Key)
	} else {
		h.byKey[rec.Key] = list
	}
	return rec
}

// keeps reports whether the first record of list, which is older than the history, is to be remembered: it was live, until
// a later revision.
func (h *history) keeps(list []*Record) bool {
	return h.past && !list[0].Deletion() && len(list) > 1 && list[1].Modify > list[0].Modify
}

// since returns the position of the first record at revision or later. It searches from the end, because most watches are
// near the end.
func (h *history) since(revision int64) int {
	step, high := 1, h.count
	low := high - step
	for low > 0 && h.at(low).Modify >= revision {
		high = low
		step *= 2
		low -= step
	}
	low = max(low, 0)
	return low + sort.Search(high-low, func(i int) bool { return h.at(low+i).Modify >= revision })
}

// ofKey returns the records of key at revision or later. live finds the key's current record. The result is valid only until
// the history changes.
func (h *history) ofKey(key string, live func(string) (*Record, bool), revision int64) []*Record {
	list, ok := h.byKey[key]
	if !ok {
		rec, ok := live(key)
		if !ok {
			return nil
		}
		list = []*Record{rec}
	}
	first := len(list)
	if list[first-1].Modify >= revision {
		first = sort.Search(len(list), func(i int) bool { return list[i].Modify >= revision })
	}
	return list[first:]
}

// before returns the last record of key at revision or earlier, or nil if the history does not have it by key.
func (h *history) before(key string, revision int64) *Record {
	list := h.byKey[key]
	i := sort.Search(len(list), func(i int) bool { return list[i].Modify > revision })
	if i == 0 {
		return nil
	}
	return list[i-1]
}

// copy returns a history that may be changed independently of h. It lacks byKey, unless h has a past, which cannot be found
// again from the records.
func (h *history) copy() history {
	h.owner = new(ownership)
	c := history{past: h.past, owner: new(ownership), chunks: slices.Clone(h.chunks), start: h.start, count: h.count}
	if h.past {
		c.byKey = make(map[string][]*Record, len(h.byKey))
		for key, list := range h.byKey {
			c.byKey[key] = slices.Clone(list)
		}
	}
	return c
}

// indexKeys builds byKey from the records, if it is lacking.
func (h *history) indexKeys() {
	if h.byKey != nil {
		return
	}
	h.byKey = make(map[string][]*Record)
	for i := range h.count {
		rec := h.at(i)
		h.byKey[rec.Key] = append(h.byKey[rec.Key], rec)
	}
}
