// Package scenarios has a table of what etcd answers during faults of its members: for each fault, the calls, the members, the answers, and
// the times of the answers. The same table is played on real members and on simulated ones.
package scenarios
