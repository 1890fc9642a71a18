package value

import (
	"bytes"
	"errors"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/contents"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// NewBundle returns a Value that is made of all keys of a range: one configuration that is kept in several keys, for example. decode
// receives the entries of the range as they were at one revision, in order of their keys. It may keep and change them. Keys that are
// always committed together are never seen apart.
//
// If decode returns an error or panics, the whole update is a [*DecodeError], and the last good value stays in [Value.Latest]. A range
// without keys is an absent value: Get waits for the first key, or returns the default, and [ErrDeleted] reports that the last key was
// deleted. Everything else is as for [New], V1 to V16 with "the range" for "the key".
//
// Each change of the range has all of it decoded, so a bundle is for ranges of some dozens of keys. For larger ones see [NewMap].
func NewBundle[T any](store kv.Store, r kv.Range, decode func([]kv.Entry) (T, error), opts ...Option) *Value[T] {
	c := newConfig(opts)
	fallback, wrong := defaultOf[T](&c)
	if decode == nil {
		wrong = errors.New("nil decoder")
	}
	subject := &upstream.Subject{
		Range:  r,
		Decode: func(e kv.Entry, _ *contents.Item) contents.Decoded { return encoded(e.Value) },
	}
	face := &rangeFace[T]{
		show: func(c *contents.Contents, at kv.Revision) (T, error) {
			if c.Len() == 0 {
				return fallback, nil
			}
			return errorOf(safely(func() (T, error) { return decode(entries(c)) }, DecodeError{Range: r, Revision: at}))
		},
		wantsEach: true,
		saves:     func(c *contents.Contents, _ map[string]bool) []kv.Entry { return entries(c) },
	}
	return newValue("NewBundle", store, subject, face, c, wrong)
}

// encoded is what the item of a bundle keeps: the bytes, since the bundle is decoded as a whole.
type encoded []byte

func (encoded) Bad() error { return nil }

func (encoded) Good() kv.Revision { return 0 }

// entries returns the entries of c, with bytes of their own.
func entries(c *contents.Contents) []kv.Entry {
	all := make([]kv.Entry, 0, c.Len())
	for i := range c.All(contents.Part{}) {
		all = append(all, kv.Entry{
			Key: i.Key, Value: bytes.Clone(i.Decoded.(encoded)),
			CreateRevision: i.CreateRevision, ModRevision: i.ModRevision, Version: i.Version,
		})
	}
	return all
}
