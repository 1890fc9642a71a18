package etcdmem

import (
	_ "unsafe" // for go:linkname
)

// valCtxCh is a variable of etcd's client: a channel that is never closed, for contexts that never end. The client makes it when the
// program begins, and so outside of any bubble. A goroutine of every watch waits for it, among other things. To wait for
// something outside of a bubble does not count as blocked: in a bubble with a watch, time would never pass. A nil channel says the
// same to package context, that the context never ends, and needs no goroutine to wait for it.
//
//go:linkname valCtxCh go.etcd.io/etcd/client/v3.valCtxCh
var valCtxCh chan struct{}

func init() { valCtxCh = nil }
