package value

import (
	"time"

	"github.com/watchkv/watchkv/value/internal/contents"
)

// outdated are the good values that have a bad one after them, and when the store confirmed each of them last: no later read does.
type outdated struct {
	confirmed map[string]time.Time // by key; by "" for all of a bundle, and for a value of one key
	last      *contents.Contents   // of a range: what was shown last; nil for nothing
}

// all takes that all that is shown is bad, and when the store confirmed what was shown before.
func (o *outdated) all(confirmed time.Time) {
	if _, is := o.confirmed[""]; !is {
		o.add("", confirmed)
	}
}

// none takes that all that is shown is good.
func (o *outdated) none() { clear(o.confirmed) }

// some takes what the keys of a range are, of which some may be bad, and when the store confirmed what was shown before.
func (o *outdated) some(c *contents.Contents, confirmed time.Time) {
	last := o.last
	if o.last = c; last == nil {
		last = contents.Empty()
	}
	if c.Bad() == nil {
		o.none()
		return
	}
	for _, change := range c.Changes(last) {
		was, is := change.Old, change.New
		switch {
		case is == nil || is.Bad() == nil || is.GoodRevision() == 0:
			delete(o.confirmed, change.Key())
		case was == nil || was.Bad() == nil || was.GoodRevision() != is.GoodRevision():
			o.add(change.Key(), confirmed)
		}
	}
}

func (o *outdated) add(key string, confirmed time.Time) {
	if o.confirmed == nil {
		o.confirmed = make(map[string]time.Time)
	}
	o.confirmed[key] = confirmed
}

// oldest returns when the store has confirmed all good values, if it has confirmed those that are not outdated at a time. It leaves out, and
// returns, the keys of a range whose good values it has not confirmed since past.
func (o *outdated) oldest(at, past time.Time) (oldest time.Time, expired map[string]bool) {
	oldest = at
	for key, confirmed := range o.confirmed {
		switch {
		case key != "" && confirmed.Before(past):
			if expired == nil {
				expired = make(map[string]bool)
			}
			expired[key] = true
		case confirmed.Before(oldest):
			oldest = confirmed
		}
	}
	return oldest, expired
}
