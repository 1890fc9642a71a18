//go:build race

package etcd_test

// raceDetector: what is measured takes ten times as long.
const raceDetector = true
