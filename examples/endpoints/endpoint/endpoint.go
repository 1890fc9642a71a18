// Package endpoint is what services and their clients agree on: the keys of a service's endpoints, and the form of their values.
package endpoint

import (
	"slices"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// Endpoint is one instance of a service, stored as JSON. Add what your clients need, such as a zone or a weight.
type Endpoint struct {
	Addr string `json:"addr"`
}

// Codec is how an Endpoint is stored.
var Codec = value.JSONCodec[Endpoint]()

// Prefix is the beginning of the keys of a service's endpoints.
func Prefix(service string) string { return "/svc/" + service + "/" }

// Key is the key of one instance. Two instances of a service never share a name.
func Key(service, instance string) string { return Prefix(service) + instance }

// maxAge is how old the list may be while the store can be reached. It costs two small reads a second. Without it, a client
// whose watch is at a partitioned member learns nothing until that member ends the watch, after some
// seconds. If the connections to two of three members are dead at the same time, it may take a little longer.
const maxAge = time.Second

// NewMap returns the endpoints of a service. While the store cannot be reached, its watchers get [value.ErrStale]. Then keep the old list.
func NewMap(store kv.Store, service string, opts ...value.Option) *value.Map[Endpoint] {
	opts = append([]value.Option{value.WithMaxStaleness(maxAge)}, opts...)
	return value.NewMap(store, kv.Prefix(Prefix(service)), Codec.Decode, opts...)
}

// Usable returns the endpoints of a View, in the order of their keys. If the newest value of an endpoint is bad, it returns the last good value. If
// there was none, it leaves the endpoint out.
func Usable(view value.View[Endpoint]) []Endpoint {
	list := make([]Endpoint, 0, view.Len())
	for _, item := range view.All() {
		if item.ValueRevision != 0 {
			list = append(list, item.Value)
		}
	}
	return slices.Clip(list)
}
