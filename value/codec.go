package value

import (
	"encoding"
	"encoding/json"
)

// Codec turns values into bytes and bytes into values, for [Update], [Create] and [Delete]. Its functions may be called
// concurrently if the calls that use it are made concurrently.
//
// Decode is also what [New] takes:
//
//	codec := value.JSONCodec[Limits]()
//	limits := value.New(store, key, codec.Decode)
//
// A codec for protocol buffers is ten lines, in examples/manykeys/protobuf_test.go.
//
// A field can be replaced: codec.Decode = value.StrictJSON[Limits] refuses members that Limits has no field for.
type Codec[T any] struct {
	// Encode returns the bytes of a value. It should return the same bytes for the same value. Otherwise a change that changes
	// nothing is written nevertheless.
	Encode func(T) ([]byte, error)
	// Decode returns the value of bytes that Encode has made. It may keep and change the bytes that it receives.
	Decode func([]byte) (T, error)
}

// JSONCodec encodes as [encoding/json.Marshal] does, and decodes as [JSON] does.
func JSONCodec[T any]() Codec[T] {
	return Codec[T]{Encode: func(v T) ([]byte, error) { return json.Marshal(v) }, Decode: JSON[T]}
}

// TextCodec is for any type that encodes itself to text and decodes itself from text: value.TextCodec[netip.Addr]().
func TextCodec[T any, P interface {
	*T
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}]() Codec[T] {
	return Codec[T]{Encode: func(v T) ([]byte, error) { return P(&v).MarshalText() }, Decode: Text[T, P]}
}

// StringCodec is for a string that is stored as its bytes.
func StringCodec() Codec[string] {
	return Codec[string]{Encode: func(v string) ([]byte, error) { return []byte(v), nil }, Decode: String}
}

// BytesCodec is for values that are stored as they are.
func BytesCodec() Codec[[]byte] {
	return Codec[[]byte]{Encode: func(v []byte) ([]byte, error) { return v, nil }, Decode: Bytes}
}
