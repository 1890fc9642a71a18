package property_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

var (
	mapPrograms = flag.Int("maps.programs", 200, "how many random programs of Maps to run")
	mapSeed     = flag.Uint64("maps.seed", 1, "the seed of the first of them")
)

// M1 to M8, V4 and V5 of Maps, and bundles that show one revision, under all faults. For long:
//
//	go test ./property_test -run TestMapsUnderFaultsInABubble -timeout 2h -maps.programs=10000
func TestMapsUnderFaultsInABubble(t *testing.T) {
	var sum mapCounts
	for i := range *mapPrograms {
		seed := *mapSeed + uint64(i)
		synctest.Test(t, func(t *testing.T) {
			p := newMapProgram(t, seed)
			p.run()
			sum.add(p.counts)
		})
		if t.Failed() {
			t.Fatalf("again: -run '^%s$' -maps.programs=1 -maps.seed=%d", t.Name(), seed)
		}
	}
	t.Logf("%d programs: %+v", *mapPrograms, sum)
}

// mapCounts is what a program has seen.
type mapCounts struct{ Views, Gaps, Bundles, Bad, Restores int }

func (c *mapCounts) add(d mapCounts) {
	c.Views += d.Views
	c.Gaps += d.Gaps
	c.Bundles += d.Bundles
	c.Bad += d.Bad
	c.Restores += d.Restores
}

// content is what the range held: the text of each value by its key.
type content map[string]string

// era is the history of the range up to a restore.
type era struct {
	base      kv.Revision             // up to here it is the one before it
	held      map[kv.Revision]content // at each revision
	forgotten kv.Revision             // history before it may be said to be gone
}

// mapReader is one watcher, and what it was returned.
type mapReader struct {
	*value.Watcher[value.View[*string]]
	name   string
	every  bool
	era    int
	at     kv.Revision
	last   value.View[*string]
	any    bool
	gap    bool // a GapError came, and no View since
	resets int  // how many the Map had noticed when last was returned
}

type mapProgram struct {
	*testing.T
	seed    uint64
	random  *rand.Rand
	memory  *memory.Store
	faults  *fault.Store
	in      kv.Range
	m       *value.Map[*string]
	bundle  *value.Watcher[content]
	readers []*mapReader
	eras    []*era
	backup  *memory.Backup
	saved   map[kv.Revision]content
	holds   []*fault.Hold
	dropped bool
	number  int
	log     []string
	counts  mapCounts
}

func newMapProgram(t *testing.T, seed uint64) *mapProgram {
	store := memory.New()
	p := &mapProgram{
		T: t, seed: seed, random: rand.New(rand.NewPCG(seed, 8)), memory: store, faults: fault.New(store), in: kv.Prefix("/m/"),
		eras: []*era{{held: map[kv.Revision]content{}}},
	}
	opts := []value.Option{value.WithBacklog(1 + p.random.IntN(20)), value.WithCheck(time.Duration(1+p.random.IntN(60)) * time.Second)}
	p.m = value.NewMap(p.faults, p.in, func(b []byte) (*string, error) {
		s := string(b)
		if strings.HasPrefix(s, "bad") {
			return nil, fmt.Errorf("a bad value: %s", s) // by which the judge knows it
		}
		return &s, nil
	}, opts...)
	bundle := value.NewBundle(p.faults, p.in, func(entries []kv.Entry) (content, error) {
		c := content{}
		for _, e := range entries {
			if c[e.Key] = string(e.Value); strings.HasPrefix(c[e.Key], "bad") {
				return nil, errors.New("a bad value")
			}
		}
		return c, nil
	}, opts...)
	p.look()
	p.save()
	p.bundle = bundle.Watch()
	t.Cleanup(func() { p.bundle.Close() })
	for range 1 + p.random.IntN(3) {
		p.open()
	}
	return p
}

// now is the present era.
func (p *mapProgram) now() *era { return p.eras[len(p.eras)-1] }

// broken fails the test with what led there.
func (p *mapProgram) broken(guarantee, format string, args ...any) {
	p.Helper()
	p.Fatalf("seed %d: %s was broken: %s\nthe program, up to there: %s", p.seed, guarantee, fmt.Sprintf(format, args...), strings.Join(p.log, "; "))
}

// look notes what the range holds now.
func (p *mapProgram) look() kv.Revision {
	s, err := p.memory.Get(p.Context(), p.in)
	if err != nil {
		p.Fatal(err)
	}
	c := content{}
	for _, e := range s.Entries {
		c[e.Key] = string(e.Value)
	}
	p.now().held[s.Revision] = c
	return s.Revision
}

func (p *mapProgram) save() { p.backup, p.saved = p.memory.Backup(), maps.Clone(p.now().held) }

func (p *mapProgram) open() {
	r := &mapReader{name: fmt.Sprint("watcher ", len(p.readers)), every: p.random.IntN(2) == 0, era: len(p.eras) - 1}
	if r.every {
		r.Watcher, r.name = p.m.Watch(value.EveryUpdate()), r.name+" of every update"
	} else {
		r.Watcher = p.m.Watch()
	}
	p.Cleanup(func() { r.Close() })
	p.readers = append(p.readers, r)
}

func (p *mapProgram) key() string { return fmt.Sprintf("/m/%d", p.random.IntN(8)) }

func (p *mapProgram) text(kind string) []byte {
	p.number++
	return []byte(fmt.Sprint(kind, p.number))
}

// some chooses calls.
func (p *mapProgram) some() []fault.Match {
	all := [][]fault.Match{nil, {fault.Gets}, {fault.Watches}, {fault.Gets, fault.Answered}, {fault.Watches, fault.Answered}, {fault.Answered}}
	return all[p.random.IntN(len(all))]
}

// action is one thing that a program does.
type action struct {
	name string
	do   func(p *mapProgram)
}

var mapActions = []action{
	{"put", (*mapProgram).put}, {"put", (*mapProgram).put}, {"put", (*mapProgram).put}, {"put", (*mapProgram).put},
	{"put a bad value", func(p *mapProgram) { p.memory.Put(p.Context(), p.key(), p.text("bad")) }},
	{"delete", func(p *mapProgram) { p.memory.Delete(p.Context(), p.key()) }},
	{"delete", func(p *mapProgram) { p.memory.Delete(p.Context(), p.key()) }},
	{"commit", (*mapProgram).commit}, {"commit", (*mapProgram).commit},
	{"put another", func(p *mapProgram) { p.memory.Put(p.Context(), "/n", nil) }},
	{"put another", func(p *mapProgram) { p.memory.Put(p.Context(), "/m", nil) }},
	{"progress", func(p *mapProgram) { p.memory.RequestProgress(p.Context()) }},
	{"cut", func(p *mapProgram) { p.faults.Cut(p.some()...) }},
	{"freeze", func(p *mapProgram) { p.faults.Freeze(p.some()...) }},
	{"heal", func(p *mapProgram) { p.faults.Heal() }}, {"heal", func(p *mapProgram) { p.faults.Heal() }},
	{"heal", func(p *mapProgram) { p.faults.Heal() }},
	{"end", func(p *mapProgram) { p.faults.EndStreams(kv.ErrUnavailable) }},
	{"end quietly", func(p *mapProgram) { p.faults.EndStreams(nil) }},
	{"silence", func(p *mapProgram) { p.faults.Silence() }},
	{"fail", func(p *mapProgram) { p.faults.Fail(p.random.IntN(4), kv.ErrUnavailable, p.some()...) }},
	{"refuse a watch", func(p *mapProgram) { p.faults.Fail(p.random.IntN(4), kv.ErrPermission, fault.Watches) }},
	{"delay", func(p *mapProgram) { p.faults.Delay(time.Duration(p.random.IntN(3000))*time.Millisecond, p.some()...) }},
	{"hold", func(p *mapProgram) { p.holds = append(p.holds, p.faults.Hold(p.some()...)) }},
	{"release", (*mapProgram).release}, {"release", (*mapProgram).release},
	{"duplicate", func(p *mapProgram) { p.faults.Duplicate(1 + p.random.IntN(3)) }},
	{"drop", (*mapProgram).drop},
	{"compact", (*mapProgram).compact}, {"compact", (*mapProgram).compact},
	{"say compacted", func(p *mapProgram) {
		p.now().forgotten = max(p.now().forgotten, p.look()+2)
		p.faults.EndStreams(&kv.CompactedError{})
	}},
	{"back up", (*mapProgram).save},
	{"restore", (*mapProgram).restore},
	{"open", (*mapProgram).open},
	{"pass", func(p *mapProgram) { time.Sleep(time.Duration(p.random.IntN(20000)) * time.Millisecond) }},
	{"pass", func(p *mapProgram) { time.Sleep(time.Duration(p.random.IntN(300)) * time.Millisecond) }},
	{"quiet", func(*mapProgram) { synctest.Wait() }}, {"quiet", func(*mapProgram) { synctest.Wait() }},
}

func (p *mapProgram) put() { p.memory.Put(p.Context(), p.key(), p.text("v")) }

func (p *mapProgram) commit() {
	var ops []kv.Op
	for i := range 2 + p.random.IntN(5) {
		if key := fmt.Sprintf("/m/%d", i); p.random.IntN(3) == 0 {
			ops = append(ops, kv.DeleteOp(key))
		} else {
			ops = append(ops, kv.PutOp(key, p.text("t")))
		}
	}
	p.memory.Commit(p.Context(), ops...)
}

func (p *mapProgram) release() {
	if len(p.holds) > 0 {
		p.holds[p.random.IntN(len(p.holds))].Release()
	}
}

// drop loses a deletion. A put that is lost before a deletion leaves nothing by which it could be noticed.
func (p *mapProgram) drop() {
	if p.random.IntN(4) == 0 { // a program that has it says less
		p.dropped = true
		p.faults.Drop(1, fault.Deletes)
	}
}

func (p *mapProgram) compact() {
	rev := p.look() - kv.Revision(p.random.IntN(3))
	if p.memory.Compact(p.Context(), rev) == nil {
		p.now().forgotten = max(p.now().forgotten, rev)
	}
}

// restore goes back to the backup. Nothing is written before that is noticed: of a store that has reached its old revision again,
// nobody could know it.
func (p *mapProgram) restore() {
	if err := p.memory.Restore(p.backup); err != nil {
		p.Fatal(err)
	}
	p.counts.Restores++
	p.eras = append(p.eras, &era{base: p.backup.Revision(), held: maps.Clone(p.saved), forgotten: p.now().forgotten})
	p.heal()
	time.Sleep(5 * time.Minute)
	synctest.Wait()
}

// heal ends all faults.
func (p *mapProgram) heal() {
	p.faults.Clear()
	p.holds = nil
	p.faults.EndStreams(kv.ErrUnavailable) // those that are silent stay so
}

func (p *mapProgram) run() {
	for range 30 + p.random.IntN(60) {
		a := mapActions[p.random.IntN(len(mapActions))]
		p.log = append(p.log, a.name)
		a.do(p)
		p.look()
		for range p.random.IntN(4) {
			runtime.Gosched()
		}
		for _, r := range p.readers {
			if p.random.IntN(3) == 0 {
				p.take(r)
			}
		}
		if p.random.IntN(3) == 0 {
			p.takeBundle()
		}
	}
	p.log = append(p.log, "heal all")
	p.heal()
	time.Sleep(time.Hour)
	synctest.Wait()
	p.end()
}

// end requires everybody to come to what the range holds.
func (p *mapProgram) end() {
	final := p.now().held[p.look()]
	for _, r := range p.readers {
		for nothing := 0; nothing < 3; time.Sleep(time.Minute) { // a TryGet that finds nothing may have history read
			if nothing++; p.take(r) {
				nothing = 0
			}
		}
		if !r.any || !maps.Equal(p.textOf(r.last, len(p.eras)-1), final) {
			p.broken("V3", "%s ends with %v of revision %d, and the range holds %v; %+v", r.name, p.textOf(r.last, len(p.eras)-1), r.at, final, p.m.Status())
		}
	}
	for p.takeBundle() {
	}
}

// textOf is what a View shows. The text of a bad value is that of the era.
func (p *mapProgram) textOf(v value.View[*string], era int) content {
	c := content{}
	for key, item := range v.All() {
		if item.Err == nil {
			c[key] = *item.Value
		} else if c[key] = p.eras[era].held[item.ModRevision][key]; !strings.HasPrefix(c[key], "bad") {
			c[key] = "an error where the value was good"
		}
	}
	return c
}

// take is one TryGet, and judges it. It reports whether there was anything.
func (p *mapProgram) take(r *mapReader) bool {
	v, err := r.TryGet()
	if errors.Is(err, value.ErrNothingNew) {
		return false
	}
	if err != nil {
		p.judgeError(r, err)
		return true
	}
	p.counts.Views++
	for e := r.era; e < len(p.eras); e++ {
		held, known := p.eras[e].held[v.Revision()]
		if !known || !maps.Equal(held, p.textOf(v, e)) || e == r.era && r.any && v.Revision() <= r.at {
			continue
		}
		p.judge(r, v, e)
		r.era, r.at, r.last, r.any, r.gap, r.resets = e, v.Revision(), v, true, false, p.m.Status().Resets
		return true
	}
	if p.dropped { // until the loss is noticed, what is known is wrong
		r.at, r.last, r.any = v.Revision(), v, true
		return true
	}
	if r.any && v.Revision() <= r.at {
		p.broken("V5", "%s was returned revision %d after revision %d", r.name, v.Revision(), r.at)
	}
	p.broken("M2", "%s was returned %v at revision %d, and the range held %v", r.name, p.textOf(v, r.era), v.Revision(), p.eras[r.era].held[v.Revision()])
	return true
}

// judgeError judges an error of a Get.
func (p *mapProgram) judgeError(r *mapReader, err error) {
	gap, ok := errors.AsType[*value.GapError](err)
	switch {
	case !ok:
		p.broken("V11", "%s was returned %v", r.name, err)
	case !r.every:
		p.broken("V3", "%s is not of every update and was returned %v", r.name, err)
	case errors.Is(err, kv.ErrReset) && r.era == len(p.eras)-1 && !p.dropped, errors.Is(err, value.ErrLostEvent) && !p.dropped,
		errors.Is(err, kv.ErrCompacted) && !slices.ContainsFunc(p.eras, func(e *era) bool { return gap.From <= e.forgotten }):
		p.broken("M8", "%s was returned %v, and the store has that history", r.name, err)
	}
	p.counts.Gaps++
	r.gap = true
}

// judge judges a View of an era that is what the range held.
func (p *mapProgram) judge(r *mapReader, v value.View[*string], e int) {
	sum := map[string]value.Item[*string]{}
	for key, item := range r.last.All() {
		sum[key] = item
	}
	removals, before := true, ""
	for c := range v.Changes() {
		old, had := sum[c.Key]
		if (c.Old != nil) != had || had && !sameItem(old, *c.Old) || c.Old == nil && c.New == nil {
			p.broken("M3", "the change of %q is from %v, and the View before had %v", c.Key, c.Old, old)
		}
		switch removal := c.New == nil; {
		case removal && !removals:
			p.broken("M4", "the removal of %q comes after what was put", c.Key)
		case removal != removals:
			removals, before = false, ""
		}
		if c.Key <= before {
			p.broken("M3", "the change of %q comes after that of %q", c.Key, before)
		}
		if before = c.Key; c.New == nil {
			delete(sum, c.Key)
			continue
		}
		if had && sameItem(old, *c.New) {
			p.broken("M6", "%q is in Changes and has not changed", c.Key)
		}
		sum[c.Key] = *c.New
	}
	n := 0
	for key, item := range v.All() {
		n++
		if got, ok := sum[key]; !ok || !sameItem(got, item) {
			p.broken("M3", "the View before with the changes made has %v for %q, and the View has %v", got, key, item)
		}
		p.judgeItem(r, key, item, e)
	}
	if n != len(sum) || n != v.Len() {
		p.broken("M3", "the View has %d keys, its Len is %d, and with the changes made there are %d", n, v.Len(), len(sum))
	}
	if r.every && r.any && !r.gap && e == r.era && !p.dropped {
		p.judgeEvery(r, v, e)
	}
}

func sameItem(a, b value.Item[*string]) bool {
	return a.ModRevision == b.ModRevision && a.CreateRevision == b.CreateRevision && a.Version == b.Version &&
		fmt.Sprint(a.Err) == fmt.Sprint(b.Err) && a.ValueRevision == b.ValueRevision && (a.Value == b.Value || a.Value != nil && b.Value != nil && *a.Value == *b.Value)
}

// judgeItem judges a key of a View.
func (p *mapProgram) judgeItem(r *mapReader, key string, item value.Item[*string], e int) {
	was, had := r.last.Get(key)
	// A Map that has noticed that history was replaced cannot know which of the good values before are of the new one.
	same := had && e == r.era && was.CreateRevision == item.CreateRevision && r.resets == p.m.Status().Resets
	if same && item.ValueRevision < was.ValueRevision {
		p.broken("M5", "the last good value of %q was of revision %d and is of %d", key, was.ValueRevision, item.ValueRevision)
	}
	if len(p.eras) == 1 && same && !r.every && was.ModRevision == item.ModRevision && item.Err == nil && was.Value != item.Value {
		p.broken("M6", "%q did not change and was decoded again", key)
	}
	if item.Err == nil {
		if item.ValueRevision != item.ModRevision {
			p.broken("M5", "the good value of %q is of %d and its ValueRevision %d", key, item.ModRevision, item.ValueRevision)
		}
		return
	}
	p.counts.Bad++
	if bad, ok := errors.AsType[*value.DecodeError](item.Err); !ok || bad.Key != key || bad.Revision != item.ModRevision {
		p.broken("M5", "the error of %q at revision %d is %v", key, item.ModRevision, item.Err)
	}
	if item.Value != nil && !slices.ContainsFunc(p.eras, func(e *era) bool { return e.held[item.ValueRevision][key] == *item.Value }) {
		p.broken("M5", "the last good value of %q is %q of revision %d, which it never had", key, *item.Value, item.ValueRevision)
	}
}

// judgeEvery requires that no revision that changed the range is missing between the last View and v.
func (p *mapProgram) judgeEvery(r *mapReader, v value.View[*string], e int) {
	held := p.eras[e].held
	here := false
	for rev := r.at + 1; rev < v.Revision(); rev++ {
		c, known := held[rev]
		switch {
		case !known:
		case maps.Equal(c, held[v.Revision()]):
			here = true
		case here || !maps.Equal(c, held[r.at]):
			p.broken("M8", "%s was returned revision %d after %d, and revision %d is missing", r.name, v.Revision(), r.at, rev)
		}
	}
}

// takeBundle is a TryGet of the bundle.
func (p *mapProgram) takeBundle() bool {
	got, err := p.bundle.TryGet()
	switch {
	case errors.Is(err, value.ErrNothingNew):
		return false
	case errors.Is(err, value.ErrDeleted):
		got = content{}
	case err != nil:
		if _, ok := errors.AsType[*value.DecodeError](err); !ok {
			p.broken("V11", "the bundle was returned %v", err)
		}
		return true
	}
	p.counts.Bundles++
	if !p.dropped && !slices.ContainsFunc(p.eras, func(e *era) bool {
		c, known := e.held[p.bundle.Revision()]
		return known && maps.Equal(c, got)
	}) {
		p.broken("M2", "the bundle was returned %v at revision %d, and the range held %v", got, p.bundle.Revision(), p.now().held[p.bundle.Revision()])
	}
	return true
}
