package memory

import (
	"slices"
	"sort"

	"github.com/watchkv/watchkv/kv"
)

// history holds every change since the last compaction, in order. It can be read by revision or by key.
//
// It shares its chunks with its copies, and copies a chunk before it writes to it.
type history struct {
	owner  *ownership
	chunks []*chunk
	start  int // the number of records of chunks[0] that are gone
	count  int

	// byKey holds the records of each key that changed more than once since the last compaction. A key that is not in byKey
	// has at most one record in the history: the live one. This saves memory when many keys are put once.
	byKey map[string][]*record
}

const chunkLen = 256

type chunk struct {
	owner   *ownership
	records [chunkLen]*record
}

// ownership is identified by its address, so it must not be empty.
type ownership struct{ _ byte }

func newHistory() history {
	return history{owner: new(ownership), byKey: make(map[string][]*record)}
}

// at returns the record at position i, counted from the oldest.
func (h *history) at(i int) *record {
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
func (h *history) add(old, rec *record) {
	if list, ok := h.byKey[rec.key]; ok {
		h.byKey[rec.key] = append(list, rec)
	} else if old != nil {
		if h.count > 0 && old.modify >= h.at(0).modify {
			list = append(list, old)
		}
		h.byKey[rec.key] = append(list, rec)
	}
	i := h.start + h.count
	if i == len(h.chunks)*chunkLen {
		h.chunks = append(h.chunks, &chunk{owner: h.owner})
	}
	h.owned(i / chunkLen).records[i%chunkLen] = rec
	h.count++
}

// dropOldest forgets the oldest record.
func (h *history) dropOldest() {
	rec := h.at(0)
	h.owned(0).records[h.start] = nil
	h.start++
	h.count--
	if h.start == chunkLen {
		h.chunks[0] = nil
		h.chunks = h.chunks[1:]
		h.start = 0
	}
	list, ok := h.byKey[rec.key]
	if !ok {
		return
	}
	for len(list) > 0 && list[0].modify <= rec.modify {
		list[0] = nil
		list = list[1:]
	}
	if len(list) == 0 {
		delete(h.byKey, rec.key)
	} else {
		h.byKey[rec.key] = list
	}
}

// since returns the position of the first record at revision or later. It searches from the end, because most watches are
// near the end.
func (h *history) since(revision kv.Revision) int {
	step, high := 1, h.count
	low := high - step
	for low > 0 && h.at(low).modify >= revision {
		high = low
		step *= 2
		low -= step
	}
	low = max(low, 0)
	return low + sort.Search(high-low, func(i int) bool { return h.at(low+i).modify >= revision })
}

// ofKey returns the records of key at revision or later. live finds the key's current record. The result is valid only until
// the history changes.
func (h *history) ofKey(key string, live func(string) (*record, bool), revision kv.Revision) []*record {
	list, ok := h.byKey[key]
	if !ok {
		rec, ok := live(key)
		if !ok {
			return nil
		}
		list = []*record{rec}
	}
	first := len(list)
	if list[first-1].modify >= revision {
		first = sort.Search(len(list), func(i int) bool { return list[i].modify >= revision })
	}
	return list[first:]
}

// copy returns a history that may be changed independently of h. It lacks byKey.
func (h *history) copy() history {
	h.owner = new(ownership)
	return history{owner: new(ownership), chunks: slices.Clone(h.chunks), start: h.start, count: h.count}
}

// indexKeys builds byKey from the records.
func (h *history) indexKeys() {
	h.byKey = make(map[string][]*record)
	for i := range h.count {
		rec := h.at(i)
		h.byKey[rec.key] = append(h.byKey[rec.key], rec)
	}
}
