// Package endpoint is what services and their clients agree on: under which keys the endpoints of a service are kept, and as what.
package endpoint

import (
	"slices"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// Endpoint is one instance of a service, as JSON. Add what your clients need: a zone, a weight.
type Endpoint struct {
	Addr string `json:"addr"`
}

// Codec is how an Endpoint is stored.
var Codec = value.JSONCodec[Endpoint]()

// Prefix is what the keys of a service's endpoints begin with.
func Prefix(service string) string { return "/svc/" + service + "/" }

// Key is the key of one instance. Two instances of a service never share a name.
func Key(service, instance string) string { return Prefix(service) + instance }

// maxAge is how old the list may be while the store can be asked. It costs two small reads a second. Without it, a client
// that watches at a member which is cut off from the others learns nothing until that member ends its watch, after some
// seconds. If connections to two members of three are dead at the same time, it may take some moments longer.
const maxAge = time.Second

// NewMap returns the endpoints of a service. While the store is out of reach, its watchers get [value.ErrStale], and keep the list.
func NewMap(store kv.Store, service string, opts ...value.Option) *value.Map[Endpoint] {
	opts = append([]value.Option{value.WithMaxStaleness(maxAge)}, opts...)
	return value.NewMap(store, kv.Prefix(Prefix(service)), Codec.Decode, opts...)
}

// Usable returns the endpoints of a View, in the order of their keys. An endpoint whose newest value is bad is the last good one, and left
// out if there was none.
func Usable(view value.View[Endpoint]) []Endpoint {
	list := make([]Endpoint, 0, view.Len())
	for _, item := range view.All() {
		if item.ValueRevision != 0 {
			list = append(list, item.Value)
		}
	}
	return slices.Clip(list)
}
