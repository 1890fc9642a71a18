// Package bench compares this library with what a user would choose instead, and with a floor, which nothing can be faster than.
//
//	go run ./report
//
// in this directory measures everything, several times over, and writes the tables and plots of docs/performance.md from
// what it measured. A single benchmark is run as any other:
//
//	go test -bench 'WakeOnEtcd/watchers=1000$'
//
// This is a separate module, so that the dependencies of the comparison never reach the go.sum of a user.
//
// # How a benchmark is named
//
// Each says what is done, then at which size, then by whom:
//
//	BenchmarkWakeOnEtcd/watchers=1000/by=clientv3
//
// Benchmarks that differ only in "by" are compared. If the work is short, they run in turns: each runs once before any runs
// again. Otherwise, and with a thousand watchers or more, they run one after the other. The time reported is the
// median of the turns; allocations are counted separately. The report divides their figures within one pass, before it takes the
// median of the passes: a machine that is busy for a while then slows both.
//
// # Who is compared
//
//   - watchkv: a [github.com/watchkv/watchkv/value.Value] and its watchers, over the store that the benchmark's name says.
//   - clientv3: watches of etcd's own client, one for each watcher, as in programs without this library.
//   - channel: the floor. A value behind an atomic pointer, and one channel that is closed when the value changes.
//   - statedb and memdb: stores in memory that close a channel when a part of them changes, of cilium and of hashicorp.
package bench
