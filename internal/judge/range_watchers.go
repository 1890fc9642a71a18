package judge

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// bundled is the value of a bundle: all keys and values of the range.
type bundled map[string]string

// decodeAll decodes a bundle. The bundle is bad if one of its values is bad.
func decodeAll(entries []kv.Entry) (bundled, error) {
	all := bundled{}
	for _, e := range entries {
		if _, err := Decode(e.Value); err != nil {
			return nil, err
		}
		all[e.Key[strings.LastIndexByte(e.Key, '/')+1:]] = string(e.Value)
	}
	return all, nil
}

// decodeOne decodes a value of a Map. A new pointer shows that the value was decoded again.
func decodeOne(b []byte) (*int, error) {
	n, err := Decode(b)
	return &n, err
}

// RangeWatchers is a set of watchers of a Map and of a bundle of one range. Only one goroutine may call its methods. That goroutine must
// close the set.
type RangeWatchers struct {
	*readers[sight]
	writer *RangeWriter
	m      *value.Map[*int]
	bundle *value.Value[bundled]
}

// NewRangeWatchers returns an empty set of watchers of store, which is the store with the faults.
func NewRangeWatchers(store kv.Store, writer *RangeWriter, config Config) *RangeWatchers {
	c := &RangeWatchers{readers: newReaders[sight](store, config), writer: writer}
	opts := c.config.options()
	c.m = value.NewMap(c.unsteady, writer.Range(), decodeOne, opts...)
	c.bundle = value.NewBundle(c.unsteady, writer.Range(), decodeAll, opts...)
	return c
}

// Modes are [RangeModes].
func (c *RangeWatchers) Modes() []Mode { return RangeModes() }

// Open opens a watcher and begins to read it.
func (c *RangeWatchers) Open(mode Mode) {
	var opts []value.WatchOption
	if mode.Every {
		opts = append(opts, value.EveryUpdate())
	}
	f := &reader[sight]{mode: mode}
	var get func(context.Context) (sight, error)
	if mode.Bundle {
		w := c.bundle.Watch(opts...)
		f.status, f.end = c.bundle.Status, w.Close
		get = func(ctx context.Context) (s sight, err error) {
			s.bundle, err = w.Get(ctx)
			s.revision = w.Revision()
			return s, err
		}
	} else {
		w := c.m.Watch(opts...)
		f.status, f.end = c.m.Status, w.Close
		get = func(ctx context.Context) (s sight, err error) {
			s.view, err = w.Get(ctx)
			s.revision = s.view.Revision()
			return s, err
		}
	}
	f.get = func(ctx context.Context) sight {
		resets := f.status().Resets
		s, err := get(ctx)
		s.mode, s.what, s.err = mode, whatOf(ctx, err), err
		s.resetsBefore, s.resetsAfter = int(resets), int(f.status().Resets)
		s.eras, s.dropped = c.writer.now()
		return s
	}
	c.start(f)
}

// OpenAll opens a watcher of every mode.
func (c *RangeWatchers) OpenAll() {
	for _, mode := range RangeModes() {
		c.Open(mode)
	}
}

// Watches returns how many watches of the store there may be while nothing happens (V12): one for the Map, one for the bundle, and one
// for each watcher of every update that still reads history. Such a watcher may have to read up to a revision at which nothing in the
// range changed. On a store without bookmarks, it then reads until the next event.
func (c *RangeWatchers) Watches() (least, most int) {
	watched := map[bool]int{}
	for _, f := range c.open() {
		watched[f.mode.Bundle] = 1
		if f.mode.Every {
			most++
		}
	}
	least = watched[false] + watched[true]
	return least, least + most
}

// Settle waits until every open watcher has returned what the range holds, then writes once more and waits again, as [Watchers.Settle]
// does. If streams have lost events, it first puts every key, because only the next event of a key proves that an event was lost (V16).
func (c *RangeWatchers) Settle(ctx context.Context) error {
	c.noMoreRest()
	if _, dropped := c.writer.now(); dropped {
		for n := range rangeKeys {
			if err := c.writer.putKey(ctx, n); err != nil {
				return err
			}
		}
	}
	if err := c.settled(ctx); err != nil {
		return err
	}
	if err := c.writer.putKey(ctx, 0); err != nil {
		return err
	}
	return c.settled(ctx)
}

func (c *RangeWatchers) settled(ctx context.Context) error {
	return c.readers.settled(ctx, c.writer.Resolve, func() final[sight] {
		h := c.writer.History()
		end := h.final()
		text := fmt.Sprintf("the range holds %v since revision %d", textsOf(end.entries), end.since)
		return final[sight]{end.since, text, func(mode Mode, seen []sight) bool {
			last := lastOf(seen)
			last.mode = mode
			return last.ends(h, endsInGap(seen))
		}}
	})
}

// Judge returns every broken guarantee, at most one for each watcher, or nil. It expects that open watchers have returned everything, so the
// caller calls [RangeWatchers.Settle] first.
func (c *RangeWatchers) Judge() error {
	var errs []error
	h := c.writer.History()
	for _, f := range c.all {
		seen, open := f.record()
		if err := judgeRange(h, rangeRecord{mode: f.mode, seen: seen, open: open}); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
