// Package property_test shows, with random programs, that the store in memory cannot be told from etcd, and that values
// and stores keep their promises under faults.
package property_test
