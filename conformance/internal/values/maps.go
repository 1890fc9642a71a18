package values

import (
	"iter"
	"strings"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// Maps makes the Maps and bundles of the checks. A field that is nil means what package value has. Tests of the suite replace fields with wrong
// implementations.
type Maps struct {
	Map    func(store kv.Store, r kv.Range, decode Decoder, opts ...value.Option) LiveMap
	Bundle func(store kv.Store, r kv.Range, decode func([]kv.Entry) (string, error), opts ...value.Option) Live
	View   func(value.View[*string]) View // what a watcher of a Map has returned
}

// Decoder decodes one value of a Map. The values are pointers, so that a check can see whether two are the same.
type Decoder = func([]byte) (*string, error)

// LiveMap is a [value.Map] as checks use it, and MapReader is one of its watchers.
type (
	LiveMap   = valuetest.Value[value.View[*string]]
	MapReader = valuetest.Reader[value.View[*string]]
)

// Item and Change are those of a View.
type (
	Item   = value.Item[*string]
	Change = value.Change[*string]
)

// View is a [value.View] as checks use it.
type View interface {
	Revision() kv.Revision
	Len() int
	Get(key string) (Item, bool)
	All() iter.Seq2[string, Item]
	Changes() iter.Seq[Change]
	In(kv.Range) View
}

// SoundView is a View of package value.
type SoundView struct{ value.View[*string] }

func (v SoundView) In(r kv.Range) View { return SoundView{v.View.In(r)} }

// SoundMap makes the Maps of package value, and SoundBundle its bundles.
func SoundMap(store kv.Store, r kv.Range, decode Decoder, opts ...value.Option) LiveMap {
	return valuetest.Sound(value.NewMap(store, r, decode, opts...))
}

func SoundBundle(store kv.Store, r kv.Range, decode func([]kv.Entry) (string, error), opts ...value.Option) Live {
	return valuetest.Sound(value.NewBundle(store, r, decode, opts...))
}

// withDefaults returns m with what package value has in place of nil fields.
func (m Maps) withDefaults() Maps {
	if m.Map == nil {
		m.Map = SoundMap
	}
	if m.Bundle == nil {
		m.Bundle = SoundBundle
	}
	if m.View == nil {
		m.View = func(v value.View[*string]) View { return SoundView{v} }
	}
	return m
}

// badText is the decode error of a value that begins with "bad".
type badText string

func (b badText) Error() string { return "the value is " + string(b) }

// textOrBad decodes all but bad values.
func textOrBad(b []byte) (*string, error) {
	s := string(b)
	if strings.HasPrefix(s, "bad") {
		return nil, badText(s)
	}
	return &s, nil
}

// part is the range that the check's Maps follow. It lies between the neighbours.
func (e *env) part() kv.Range { return kv.Prefix(e.Key("map/")) }

// in returns a key of that range.
func (e *env) in(name string) string { return e.Key("map/" + name) }

// neighbours puts the keys next to the range.
func (e *env) neighbours(v string) {
	for _, name := range []string{"map", "map.", "map.\xff", "map0"} {
		e.Put(e.Key(name), v)
	}
}

// newMap returns a Map of the range. It does not check silent watches unless opts say so.
func (e *env) newMap(opts ...value.Option) LiveMap { return e.newMapWith(textOrBad, opts...) }

func (e *env) newMapWith(decode Decoder, opts ...value.Option) LiveMap {
	return e.maps.Map(e.faults, e.part(), decode, append(quickly(), opts...)...)
}

// newBundle returns a bundle of the range: its keys and values, in the form "a=1 b=2". The bundle is bad if one of the values is bad.
func (e *env) newBundle(opts ...value.Option) Live {
	return e.maps.Bundle(e.faults, e.part(), func(entries []kv.Entry) (string, error) {
		var all []string
		for _, entry := range entries {
			text, err := textOrBad(entry.Value)
			if err != nil {
				return "", err
			}
			all = append(all, strings.TrimPrefix(entry.Key, e.in(""))+"="+*text)
		}
		return strings.Join(all, " "), nil
	}, append(quickly(), opts...)...)
}

// mapReader is a watcher of a Map, and the Views that it has returned.
type mapReader struct {
	*valuetest.Watcher[value.View[*string]]
	e     *env
	every bool
	given []View
	at    []kv.Revision // what Revision returned after each of them
	gaps  int           // how many GapErrors were returned
	gapAt int           // how many Views were returned before the last GapError
}

// read opens a watcher of a Map.
func (e *env) read(m LiveMap, opts ...value.WatchOption) *mapReader {
	name := "the watcher of the newest"
	if len(opts) > 0 {
		name = "the watcher of every update"
	}
	return &mapReader{Watcher: valuetest.Follow(e.Harness, m, name, opts...), e: e, every: len(opts) > 0}
}

// readBoth opens a watcher of the newest and a watcher of every update.
func (e *env) readBoth(m LiveMap) (newest, every *mapReader) {
	return e.read(m), e.read(m, value.EveryUpdate())
}

// viewAtLeast asks for a View at or after a revision.
func viewAtLeast(rev kv.Revision) value.GetOption[value.View[*string]] {
	return value.AtLeast[value.View[*string]](rev)
}

// next returns the next View.
func (r *mapReader) next(opts ...value.GetOption[value.View[*string]]) View {
	return r.returned(r.Watcher.Next(opts...))
}

// viewOf returns the View that a Get of r returns.
func (r *mapReader) viewOf(call *valuetest.Call[value.View[*string]]) View {
	got := call.Got()
	return r.returned(got.Value, got.Err)
}

// returned notes what a Get of r has returned, which must be a View.
func (r *mapReader) returned(v value.View[*string], err error) View {
	if err != nil {
		r.e.Fatalf("Get of %s returned the error %q, want a View; %s", r.Name, err, r.Status())
	}
	r.given = append(r.given, r.e.maps.View(v))
	r.at = append(r.at, r.Revision())
	return r.given[len(r.given)-1]
}

// comesTo reads until a View of revision rev or later, and returns that View.
func (r *mapReader) comesTo(rev kv.Revision, opts ...value.GetOption[value.View[*string]]) View {
	for {
		if v := r.next(opts...); v.Revision() >= rev {
			return v
		}
	}
}

// nextKeyArrives puts a key and requires that it is the next thing that each watcher returns. Then it judges everything that they have
// returned. It returns the revision of the put.
func (e *env) nextKeyArrives(readers ...*mapReader) kv.Revision {
	rev := e.Put(e.in("~next"), "next")
	for _, r := range readers {
		if v := r.next(); v.Revision() < rev {
			e.Fatalf("Get of %s returned the View of revision %d, but the next change was at revision %d", r.Name, v.Revision(), rev)
		}
		r.HasNothing()
		r.judge()
	}
	return rev
}
