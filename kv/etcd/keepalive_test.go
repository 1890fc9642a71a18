package etcd_test

import (
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd"
)

func TestKeepAliveFillsOnlyWhatIsMissing(t *testing.T) {
	if c := etcd.KeepAlive(clientv3.Config{}); c.DialKeepAliveTime != 10*time.Second || c.DialKeepAliveTimeout != 5*time.Second {
		t.Errorf("KeepAlive set %v and %v, want 10s and 5s", c.DialKeepAliveTime, c.DialKeepAliveTimeout)
	}
	mine := clientv3.Config{DialKeepAliveTime: time.Minute, DialKeepAliveTimeout: time.Second}
	if c := etcd.KeepAlive(mine); c.DialKeepAliveTime != time.Minute || c.DialKeepAliveTimeout != time.Second {
		t.Errorf("KeepAlive changed what was set, to %v and %v", c.DialKeepAliveTime, c.DialKeepAliveTimeout)
	}
}
