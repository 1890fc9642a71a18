// Package bench compares this library with what a user would choose instead, and with a floor, which nothing can be faster than.
//
//	go run ./report
//
// in this directory measures everything, several times over, and writes the tables and plots of docs/performance.md from
// what it measured. A single benchmark is run as any other:
//
//	go test -bench 'WakeOnEtcd/watchers=1000$'
//
// This is a module of its own, so that what is compared with never reaches the go.sum of a user.
//
// # How a benchmark is named
//
// Each says what is done, then at which size, then by whom:
//
//	BenchmarkWakeOnEtcd/watchers=1000/by=clientv3
//
// Those that differ in "by" alone are compared. Where the work is short they do it in turns, each once before any does it
// again; otherwise, and where there are a thousand watchers or more, one right after the other. The time reported is the
// median of the turns; allocations are counted apart. The report divides their figures within one pass, before it takes the
// median of the passes: a machine that is busy for a while then slows both.
//
// # Who is compared
//
//   - watchkv: a [github.com/watchkv/watchkv/value.Value] and its watchers, over the store that the benchmark's name says.
//   - clientv3: watches of etcd's own client, one for each watcher, as programs have that are written by hand.
//   - channel: the floor. A value behind an atomic pointer, and one channel that is closed when there is another.
//   - statedb and memdb: stores in memory that close a channel when a part of them changes, of cilium and of hashicorp.
package bench
