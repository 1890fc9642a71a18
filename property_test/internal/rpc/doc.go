// Package rpc has random programs of etcd's gRPC calls. Each program runs on etcd and on etcd in memory, and the answers are compared. A
// call may have any field, also a wrong one. An answer is everything that a client gets: the response, or the error with its code, and
// the messages that watches get during the call. The member and its term are left out.
//
// A program first runs in memory, in a bubble. There, after each step, everything has been sent. Then it runs on etcd. After each step it
// waits until etcd has sent as many messages on each stream. So on both, a step begins when nothing is pending. The answers can be
// compared word for word, with the headers of watch responses and the way in which events are cut into responses. A message that comes
// too late is found in a later step.
package rpc
