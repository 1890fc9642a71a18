package property_test

import (
	"os"
	"testing"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestMain(m *testing.M) {
	etcdtest.RunMember()
	os.Exit(m.Run())
}
