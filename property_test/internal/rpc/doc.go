// Package rpc has random programs of etcd's gRPC calls, for two servers whose answers are compared: etcd, and etcd in memory.
// A call may have any field, and wrong ones. An answer is everything that a client is told: the response or the error with its
// code, and what watches are sent meanwhile; without what names the member and its term.
//
// A program first runs in memory, in a bubble: after each step all is sent that ever will be. Then it runs on etcd, which is
// given the time, after each step, to send as many messages on each stream. So on both a step begins when nothing is under
// way, and the answers can be compared word for word, with the headers of watch responses and the way in which their events are
// cut into responses. What comes late is found in a later step.
package rpc
