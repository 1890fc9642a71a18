package etcdtest_test

import (
	"testing"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestTheEndOfLongLogsIsShown(t *testing.T) {
	for _, test := range []struct{ logs, want string }{
		{"", ""},
		{"a\n", "a\n"},
		{"a\nb\n", "a\nb\n"},
		{"a\nb\nc\nd\n", "(2 lines before these are shown by go test -v)\nc\nd\n"},
		{"a\nb\nc\nhalf", "(2 lines before these are shown by go test -v)\nc\nhalf"},
	} {
		if got := etcdtest.LastLines(test.logs, 2); got != test.want {
			t.Errorf("for the logs %q the shown part is %q, want %q", test.logs, got, test.want)
		}
	}
}
