package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// patience is how long each step may take. It passes only if something is broken.
const patience = 20 * time.Second

// tell plays the story and prints it. It returns an error unless every watcher ended at the newest value.
func tell(ctx context.Context, out io.Writer, p *place) error {
	began := time.Now()
	a := open(p.first, p.key)
	defer a.close()
	second, err := p.second(ctx)
	if err != nil {
		return err
	}
	b := open(second, p.key)
	defer b.close()

	s := &story{out: out, key: p.key, writer: p.writer, readers: append(a.readers(), b.readers()...)}
	f := p.faults
	if f != nil {
		s.fail(f.watches(ctx, 1)) // one watch of the store for each Value, with any number of watchers
	}
	s.head(p.about, a.name, b.name)

	s.row(ctx, nil, deed{name: "nothing yet: the key does not exist"})
	s.row(ctx, s.readers, s.put(10))
	s.row(ctx, s.readers, s.put(20))
	if f != nil {
		s.row(ctx, a.readers(), f.stop, s.put(30))
		s.row(ctx, b.readers(), f.start)
		s.row(ctx, a.readers(), f.partition, s.put(40))
		s.row(ctx, b.readers(), f.heal)
	}
	s.row(ctx, s.readers, s.remove())
	s.row(ctx, s.readers, s.putBad())
	s.row(ctx, s.readers, s.put(50))
	if f != nil {
		s.row(ctx, a.readers(), f.cut, s.put(60))
		s.row(ctx, a.readers(), s.put(70), s.compact(f))
		s.row(ctx, b.readers(), f.mend)
	}
	s.row(ctx, s.readers, s.burst(101, 120, a, b))
	if s.err == nil {
		s.fail(s.check(a.every)) // b.every was cut off while history was compacted
	}

	a.close()
	b.close()
	if f != nil && s.err == nil {
		s.fail(f.watches(ctx, 0))
	}
	if s.err == nil {
		s.foot(f, time.Since(began))
	}
	return s.err
}

// program is one of the two programs that watch the key: a Value with two watchers.
type program struct {
	name          string
	newest, every *reader
}

func open(v view, key string) program {
	limits := value.New(v.store, key, value.JSON[Limits])
	return program{v.name, read(limits.Watch()), read(limits.Watch(value.EveryUpdate()))}
}

func (p program) readers() []*reader { return []*reader{p.newest, p.every} }

func (p program) close() {
	for _, r := range p.readers() {
		r.close()
	}
}

// story is a table. Each action adds a row.
type story struct {
	out     io.Writer
	key     string
	writer  kv.Writer
	readers []*reader // its columns

	newest  kv.Revision // the newest revision of the key
	updates []string    // all updates of the key, as readers show them
	err     error       // the first error; nothing happens after it
}

func (s *story) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// row does deeds, waits until the reachable readers have the newest update, and prints what each reader has seen in between.
func (s *story) row(ctx context.Context, reachable []*reader, deeds ...deed) {
	if s.err != nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("nothing within %v", patience))
	defer cancel()
	var names []string
	for _, d := range deeds {
		names = append(names, d.name)
		if d.do != nil && s.err == nil {
			s.fail(d.do(ctx))
		}
	}
	name := strings.Join(names, ", ")
	for _, r := range reachable {
		if s.err == nil {
			s.fail(r.reach(ctx, s.newest))
		}
	}
	if s.err != nil {
		s.err = fmt.Errorf("%s: %w", name, s.err)
		return
	}
	cells := make([]string, len(s.readers))
	for i, r := range s.readers {
		cells[i] = r.news(s.newest)
	}
	s.print(name, cells...)
}

// columnWidths are the widths of the columns: the deeds, and the four readers.
var columnWidths = []int{44, 11, 13, 11, 13}

func (s *story) print(name string, cells ...string) {
	line := fmt.Sprintf("%-*s", columnWidths[0], name)
	for i, cell := range cells {
		line += fmt.Sprintf("%-*s", columnWidths[i+1], cell)
	}
	fmt.Fprintln(s.out, strings.TrimRight(line, " "))
}

func (s *story) head(about, a, b string) {
	fmt.Fprintf(s.out, "%s\n%s\n\n", about, legend)
	fmt.Fprintf(s.out, "%*s%-*s%s\n", columnWidths[0], "", columnWidths[1]+columnWidths[2], a, b)
	s.print("", "newest", "every", "newest", "every")
}

const legend = `
Two programs watch one key. Each has two watchers: one of the newest value, one of every update. A row is
what happens, and what each watcher's Get returned meanwhile. "waits": Get is blocked, with no error, since
its program cannot know of the change.`

func (s *story) foot(f *faults, took time.Duration) {
	fmt.Fprintf(s.out, "\nEvery watcher ended at the newest value, %s. No outage was an error of a Get.\n", s.last())
	if f != nil {
		fmt.Fprintln(s.out, "The store served two watches for the four watchers, and none once they were closed.")
	}
	fmt.Fprintf(s.out, "Done in %.1f s.\n", took.Seconds())
}
