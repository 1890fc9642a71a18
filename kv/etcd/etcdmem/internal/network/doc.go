// Package network is a network in memory, between the clients of a simulated cluster and its members. Its listeners, dials and connections
// work as those of package net, and return the errors of the kernel's TCP. Its faults start and end when the test says so.
//
// It blocks only on condition variables, channels and timers. So it works in a testing/synctest bubble, where its delays take no
// time. A network belongs to one bubble, or to none.
//
// # Addresses
//
// An address is "host:port". A member listens at one with [Network.Listen]. A client has no address. It passes the name of its
// host to [Network.Dial], and the network gives each connection a port. An address where nothing ever listened is unknown: its host does not
// exist, or, if it is an IP address, there is no route to it. An address whose listener is closed refuses connections.
//
// # Faults
//
// A fault belongs to [Links]: the links of all clients to some addresses, or the links of one client to them. Faults of different kinds add
// up. So do the faults of all clients and those of one client. Each method of Links returns at once.
//
// A process that is frozen or killed is a fault of its address: see [Network.Freeze] and [Network.Kill].
//
// # What differs from TCP
//
// Lost bytes are sent again as soon as the network is mended, without TCP's pauses. Each direction of a connection holds 64 KiB. That
// includes the bytes on their way and the unread ones. The other times are those of Linux. An attempt to connect ends with ETIMEDOUT
// after two minutes. A connection whose bytes are not acknowledged ends with ETIMEDOUT after a quarter of an hour. A connection on which
// nothing is sent stays silent for ever, because TCP's keep-alive is off, as in gRPC.
package network
