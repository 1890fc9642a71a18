package values

import (
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// env is the environment of a check, with Values on top of its store. Values read through faults, which stop and break
// what is on its way at the moment that a check chooses; checks write past the faults.
type env struct {
	*suite.Env
	*valuetest.Harness
	faults   *fault.Store
	at       string // the key of the Values
	newValue NewValue
	maps     Maps
}

// Live is a [value.Value] as checks use it, and Reader one of its watchers. Tests of the suite put wrong ones in
// their place, to see that checks notice.
type (
	Live   = valuetest.Value[string]
	Reader = valuetest.Reader[string]
)

// watcher is a Reader that is checked, and call a Get of one that runs during the check.
type (
	watcher = valuetest.Watcher[string]
	call    = valuetest.Call[string]
)

func newEnv(e *suite.Env, newValue NewValue, maps Maps) *env {
	faults, at := fault.New(e.Store), e.Key("value")
	return &env{
		Env: e, faults: faults, at: at, newValue: newValue, maps: maps.withDefaults(),
		Harness: valuetest.New(valuetest.Config{T: e, Key: at, Faults: faults, Patience: e.Patience(), AtOnce: e.AtOnce(), Log: e.Logf}),
	}
}

// NewValue makes a Value.
type NewValue func(store kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) Live

// Sound makes the Values of package value.
func Sound(store kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) Live {
	return valuetest.Sound(value.New(store, key, decode, opts...))
}

// What would take seconds by default takes milliseconds here, so that no check is long in waiting.
const (
	retryFirst = time.Millisecond
	retryMost  = 20 * time.Millisecond
	checkEvery = 10 * time.Millisecond
)

// value returns the Value of the check's key. Silence is not checked unless opts say so: what a check is to see
// has to come by the way that it is about.
func (e *env) value(opts ...value.Option) Live { return e.decoded(value.String, opts...) }

func (e *env) decoded(decode func([]byte) (string, error), opts ...value.Option) Live {
	return e.valueOf(e.faults, e.at, decode, opts...)
}

func (e *env) valueOf(s kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) Live {
	return e.newValue(s, key, decode, append(quickly(), opts...)...)
}

// quickly are the options that every check begins with.
func quickly() []value.Option {
	return []value.Option{value.WithRetry(retryFirst, retryMost), value.WithCheck(0)}
}

// set, unset and setOther write past the faults.
func (e *env) set(v string) kv.Revision { return e.Put(e.at, v) }
func (e *env) unset() kv.Revision       { return e.Delete(e.at) }
func (e *env) setOther() kv.Revision    { return e.Put(e.Key("other"), "v") }

// setVia is set through another store over the same data.
func (e *env) setVia(s suite.Store, v string) kv.Revision {
	rev, err := e.TryPut(s, e.at, v)
	e.Must("put", err)
	return rev
}

// forgetHistory compacts all but what is newest. There are two writes, as a watch after the first would still find
// the second.
func (e *env) forgetHistory() { e.forgetHistoryVia(e.Store) }

func (e *env) forgetHistoryVia(s suite.Store) {
	var rev kv.Revision
	for range 2 {
		var err error
		rev, err = e.TryPut(s, e.Key("other"), "v")
		e.Must("put", err)
	}
	e.CompactVia(s, rev)
}

// away cuts the Values' store off: by the backend's own means where it has them, and another store to write
// through, else by the faults. Until heal others do their work through the store returned.
func (e *env) away() (others suite.Store, heal func()) {
	if e.Backend.Cut != nil && e.Backend.Again != nil {
		others = e.Backend.Again(e, e.Store)
		return others, e.Cut()
	}
	e.Trace.Mark("cut the Value off from the store")
	e.faults.Cut()
	return e.Store, func() {
		e.Trace.Mark("heal it")
		e.faults.Heal()
	}
}

// follow opens a watcher of v, which the check's end closes.
func (e *env) follow(v Live, name string, opts ...value.WatchOption) *watcher {
	return valuetest.Follow(e.Harness, v, name, opts...)
}

// both opens a watcher of the newest, and one of every update.
func (e *env) both(v Live) []*watcher {
	return []*watcher{e.follow(v, "one of the newest"), e.follow(v, "one of every update", value.EveryUpdate())}
}

// inEachMode does the same with a watcher of the newest, and then with one of every update.
func (e *env) inEachMode(v Live, do func(*watcher)) {
	for _, opts := range [][]value.WatchOption{nil, {value.EveryUpdate()}} {
		name := "one of the newest"
		if opts != nil {
			name = "one of every update"
		}
		f := e.follow(v, name, opts...)
		do(f)
		f.End()
	}
}

// readOnce returns when a read begun after the call was returned by all watchers of v. The key must exist.
func (e *env) readOnce(v Live) {
	f := e.follow(v, "one that has a read made")
	if _, err := f.Next(); err != nil {
		e.Fatalf("the first Get of a watcher returned the error %v", err)
	}
	f.End()
}

// givesEach requires the Gets to return every update of the key after one revision and up to another, in order.
func (e *env) givesEach(f *watcher, after, upTo kv.Revision) {
	for _, event := range e.Ledger.EventsAfter(kv.Key(e.at), after) {
		if event.ModRevision > upTo {
			return
		}
		var got valuetest.Got[string]
		if event.Type == kv.EventDelete {
			got = f.Fails(value.ErrDeleted)
		} else {
			got = f.Gives(string(event.Value))
		}
		if got.Revision != event.ModRevision {
			e.Fatalf("the update of revision %d came as one of revision %d", event.ModRevision, got.Revision)
		}
	}
}

// allGive requires the next Get of each watcher to return want.
func allGive(watchers []*watcher, want string) {
	for _, f := range watchers {
		f.Gives(want)
	}
}

// beginAll begins a Get of each watcher.
func beginAll(watchers []*watcher) (calls []*call) {
	for _, f := range watchers {
		calls = append(calls, f.Begin())
	}
	return calls
}

// callsWait requires that none of the Gets has returned.
func callsWait(calls []*call) {
	for _, c := range calls {
		c.Waits()
	}
}

// callsGive requires each of the Gets to return want.
func callsGive(calls []*call, want string) {
	for _, c := range calls {
		c.Gives(want)
	}
}

// nextArrives requires the next change to be the next thing that each watcher returns.
func (e *env) nextArrives(followers ...*watcher) {
	e.set("next")
	allGive(followers, "next")
}
