package etcd_test

import (
	"flag"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

var onReal = flag.Bool("real", false, "run on real members what runs on etcd in memory otherwise, which takes a minute")

// onCluster runs a test on a cluster in memory, in a bubble, or with -real on real members with the given options.
func onCluster(t *testing.T, members int, test func(t *testing.T, cluster etcdmem.AnyCluster), real ...etcdtest.Option) {
	t.Helper()
	if *onReal {
		leaktest.Check(t)
		test(t, etcdmem.Any(etcdtest.Start(t, members, real...)))
		return
	}
	synctest.Test(t, func(t *testing.T) { test(t, etcdmem.Any(etcdmem.Start(t, members))) })
}
