// Package server offers etcd's gRPC services for one member of a simulated cluster: the keys and values, watches, leases,
// and what clients need of the rest.
package server
