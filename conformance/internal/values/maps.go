package values

import (
	"iter"
	"strings"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// Maps makes what follows a range of keys. A field that is nil makes what package value has; tests of the suite put wrong ones in
// their place.
type Maps struct {
	Map    func(store kv.Store, r kv.Range, decode Decoder, opts ...value.Option) LiveMap
	Bundle func(store kv.Store, r kv.Range, decode func([]kv.Entry) (string, error), opts ...value.Option) Live
	View   func(value.View[*string]) View // what a watcher of a Map has returned
}

// Decoder decodes one value of a Map. The values are pointers, so that it can be seen which are the same.
type Decoder = func([]byte) (*string, error)

// LiveMap is a [value.Map] as checks use it, and MapReader one of its watchers.
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

// withDefaults returns m with what package value has for what is nil.
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

// badText is a value that does not decode: one that begins with "bad".
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

// newMap returns a Map of the range. Silence is not checked unless opts say so.
func (e *env) newMap(opts ...value.Option) LiveMap { return e.newMapWith(textOrBad, opts...) }

func (e *env) newMapWith(decode Decoder, opts ...value.Option) LiveMap {
	return e.maps.Map(e.faults, e.part(), decode, append(quickly(), opts...)...)
}

// newBundle returns a bundle of the range: its keys and values, as "a=1 b=2". It is bad if one of the values is.
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
	at    []kv.Revision // what Revision was after each of them
	gaps  int           // how many GapErrors were returned
	gapAt int           // how many Views were returned before the last of these
}

// read opens a watcher of a Map.
func (e *env) read(m LiveMap, opts ...value.WatchOption) *mapReader {
	name := "one of the newest"
	if len(opts) > 0 {
		name = "one of every update"
	}
	return &mapReader{Watcher: valuetest.Follow(e.Harness, m, name, opts...), e: e, every: len(opts) > 0}
}

// readBoth opens a watcher of the newest, and one of every update.
func (e *env) readBoth(m LiveMap) (newest, every *mapReader) {
	return e.read(m), e.read(m, value.EveryUpdate())
}

// viewAtLeast asks for a View at or after a revision.
func viewAtLeast(rev kv.Revision) value.GetOption[value.View[*string]] {
	return value.AtLeast[value.View[*string]](rev)
}

// next returns the next View.
func (r *mapReader) next(opts ...value.GetOption[value.View[*string]]) View {
	v, err := r.Watcher.Next(opts...)
	if err != nil {
		r.e.Fatalf("Get of %s returned the error %q, and should return a View; %s", r.Name, err, r.Status())
	}
	r.given = append(r.given, r.e.maps.View(v))
	r.at = append(r.at, r.Revision())
	return r.given[len(r.given)-1]
}

// comesTo returns the first View that is of a revision or a later one.
func (r *mapReader) comesTo(rev kv.Revision, opts ...value.GetOption[value.View[*string]]) View {
	for {
		if v := r.next(opts...); v.Revision() >= rev {
			return v
		}
	}
}

// nextKeyArrives requires the next key to be the next thing that each watcher returns, and judges all that they have returned.
func (e *env) nextKeyArrives(readers ...*mapReader) {
	rev := e.Put(e.in("~next"), "next")
	for _, r := range readers {
		if v := r.next(); v.Revision() < rev {
			e.Fatalf("Get of %s returned the View of revision %d, and the next change was at revision %d", r.Name, v.Revision(), rev)
		}
		r.HasNothing()
		r.judge()
	}
}
