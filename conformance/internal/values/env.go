package values

import (
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// env is the environment of a check, with Values on top of its store. Values read through faults, which stop and break calls at
// the moment that a check chooses. The check writes directly to the store.
type env struct {
	*suite.Env
	*valuetest.Harness
	faults   *fault.Store
	at       string // the key of the Values
	newValue NewValue
	maps     Maps
}

// Live is a [value.Value] as checks use it, and Reader is one of its watchers. Tests of the suite replace them with wrong ones, and the
// checks must notice.
type (
	Live   = valuetest.Value[string]
	Reader = valuetest.Reader[string]
)

// watcher is a Reader that is checked, and call is a Get of a watcher that runs while the check goes on.
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

// These times are seconds by default. Here they are milliseconds, so that no check waits long.
const (
	retryFirst = time.Millisecond
	retryMost  = 20 * time.Millisecond
	checkEvery = 10 * time.Millisecond
)

// value returns the Value of the check's key. It does not check silent watches unless opts say so. Otherwise that check could deliver what
// the conformance check expects from the watch.
func (e *env) value(opts ...value.Option) Live { return e.decoded(value.String, opts...) }

func (e *env) decoded(decode func([]byte) (string, error), opts ...value.Option) Live {
	return e.valueOf(e.faults, e.at, decode, opts...)
}

func (e *env) valueOf(s kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) Live {
	return e.newValue(s, key, decode, append(quickly(), opts...)...)
}

// quickly returns the options that every check begins with.
func quickly() []value.Option {
	return []value.Option{value.WithRetry(retryFirst, retryMost), value.WithCheck(0)}
}

// set, unset and setOther write directly to the store, without the faults.
func (e *env) set(v string) kv.Revision { return e.Put(e.at, v) }
func (e *env) unset() kv.Revision       { return e.Delete(e.at) }
func (e *env) setOther() kv.Revision    { return e.Put(e.Key("other"), "v") }

// setVia is set through another store over the same data.
func (e *env) setVia(s suite.Store, v string) kv.Revision {
	rev, err := e.TryPut(s, e.at, v)
	e.Must("put", err)
	return rev
}

// forgetHistory compacts everything but the newest revision. It makes two writes, because a watch after the first could still deliver the
// second.
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

// away cuts the Values' store off. If the backend has Cut and Again, it uses them, otherwise the faults. Until heal, other writers use the
// returned store.
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

// follow opens a watcher of v. It is closed when the check ends.
func (e *env) follow(v Live, name string, opts ...value.WatchOption) *watcher {
	return valuetest.Follow(e.Harness, v, name, opts...)
}

// both opens a watcher of the newest and a watcher of every update.
func (e *env) both(v Live) []*watcher {
	return []*watcher{e.follow(v, "the watcher of the newest"), e.follow(v, "the watcher of every update", value.EveryUpdate())}
}

// inEachMode calls do with a watcher of the newest, and then with a watcher of every update.
func (e *env) inEachMode(v Live, do func(*watcher)) {
	for _, opts := range [][]value.WatchOption{nil, {value.EveryUpdate()}} {
		name := "the watcher of the newest"
		if opts != nil {
			name = "the watcher of every update"
		}
		f := e.follow(v, name, opts...)
		do(f)
		f.End()
	}
}

// readOnce makes v read the key again, and waits for the read. The key must exist.
func (e *env) readOnce(v Live) {
	f := e.follow(v, "the watcher that makes a read")
	if _, err := f.Next(); err != nil {
		e.Fatalf("the first Get of a watcher returned the error %v", err)
	}
	f.End()
}

// givesEach requires that Gets return every update of the key after one revision and up to another, in order.
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
			e.Fatalf("the update of revision %d was returned with revision %d", event.ModRevision, got.Revision)
		}
	}
}

// allGive requires that the next Get of each watcher returns want.
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

// callsGive requires that each of the Gets returns want.
func callsGive(calls []*call, want string) {
	for _, c := range calls {
		c.Gives(want)
	}
}

// nextArrives makes a change and requires that it is the next thing that each watcher returns.
func (e *env) nextArrives(followers ...*watcher) {
	e.set("next")
	allGive(followers, "next")
}
