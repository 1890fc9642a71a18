// Package etcdmem is etcd in memory, for tests of programs that use etcd's client.
package etcdmem
