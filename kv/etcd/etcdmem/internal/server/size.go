package server

import (
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// sizeOf returns how many bytes a message has on the wire. The messages of etcd 3.6 have a method for it.
func sizeOf(m protoadapt.MessageV1) int {
	if m, ok := m.(interface{ Size() int }); ok {
		return m.Size()
	}
	return proto.Size(protoadapt.MessageV2Of(m))
}

// sizeOfEvent returns how many bytes an event adds to a watch response.
func sizeOfEvent(e *mvccpb.Event) int {
	n := sizeOf(e)
	return 1 + protowire.SizeVarint(uint64(n)) + n
}
