package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// ProtoCodec is for a protocol buffer message: ProtoCodec[pb.Limits](). It is not in package value, which does not import protocol buffers.
func ProtoCodec[T any, P interface {
	*T
	proto.Message
}]() value.Codec[P] {
	return value.Codec[P]{
		// Equal messages have equal bytes, so Update can see that nothing has changed, and does not write.
		Encode: func(m P) ([]byte, error) { return proto.MarshalOptions{Deterministic: true}.Marshal(m) },
		Decode: func(b []byte) (P, error) {
			m := P(new(T))
			return m, proto.Unmarshal(b, m)
		},
	}
}

// A protocol buffer message is changed and read.
func Example_protobuf() {
	ctx := context.Background()
	store := memory.New()
	codec := ProtoCodec[durationpb.Duration]()
	_, err := value.Update(ctx, store, "/app/timeout", codec, func(old *durationpb.Duration, exists bool) (*durationpb.Duration, error) {
		if !exists {
			return durationpb.New(time.Second), nil
		}
		old.Seconds *= 2
		return old, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	timeout, err := value.New(store, "/app/timeout", codec.Decode).Get(ctx)
	fmt.Println(timeout.AsDuration(), err)
	// Output: 1s <nil>
}
