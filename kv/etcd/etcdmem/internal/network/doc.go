// Package network is a network in memory, between the clients of a simulated cluster and its members. It has listeners, dials and
// connections as package net has them, with the errors that the kernel's TCP gives, and faults that start and end at a moment
// that the test chooses.
//
// It blocks only on condition variables, channels and timers. So it works in a testing/synctest bubble, where its delays take no
// time. A network belongs to one bubble, or to none.
//
// # Addresses
//
// An address is "host:port". A member listens at one with [Network.Listen]. A client has no address but the name of its host,
// which it gives when it dials with [Network.Dial]; the network gives each connection a port. An address where nothing ever
// listened is unknown: its host does not exist, or, if it is an IP address, there is no route to it. An address whose listener is
// closed refuses connections.
//
// # Faults
//
// A fault is of [Links]: those of all clients to some addresses, or of one client to them. Faults of different kinds, and those of
// all clients and of one, add up. Each of the methods of Links returns at once.
//
// A process that is frozen or killed is a fault of its address: see [Network.Freeze] and [Network.Kill].
//
// # What differs from TCP
//
// What was lost is sent again as soon as the network is mended, without TCP's pauses. Each direction of a connection holds
// 64 KiB, on its way and received but unread together. Otherwise the times are those of Linux: an attempt to connect is given up
// after two minutes, and a connection whose bytes are not acknowledged after a quarter of an hour, both with ETIMEDOUT. A
// connection on which nothing is sent stays silent for ever: the keep-alive of TCP is off, as in gRPC.
package network
