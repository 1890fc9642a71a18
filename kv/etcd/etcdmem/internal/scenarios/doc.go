// Package scenarios says what etcd answers during faults of its members: which call, at which member, during which fault, is answered
// what, and after how long. The same table is played on real members and on simulated ones.
package scenarios
