// Package property_test shows, with random programs, that the store in memory answers as etcd does, and that values
// and stores keep their promises under faults.
//
// A normal run of the tests is short. They can run for longer. Memory against etcd, 12,000 programs of about eighty steps on eight
// members, in about ten minutes:
//
//	go test -run TestMemoryEqualsEtcd -timeout 2h ./property_test -v -rapid.checks=1500
//
// Etcd in memory against etcd, at the level of gRPC, 10,000 programs in a few minutes:
//
//	go test -run TestEtcdInMemoryEqualsEtcd -timeout 2h ./property_test -v -rapid.checks=10000
//
// Memory against the model, a hundred thousand programs in a few minutes, or for any time, guided by coverage:
//
//	go test -run TestMemoryAnswersAsTheModel -timeout 2h ./property_test/internal/program -rapid.checks=100000
//	go test -run FuzzMemory -fuzz FuzzMemoryAnswersAsTheModel -fuzzminimizetime 10x ./property_test/internal/program
package property_test
