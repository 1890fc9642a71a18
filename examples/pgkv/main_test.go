package pgkv_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/watchkv/watchkv/examples/pgkv/pgtest"
	"go.uber.org/goleak"
)

// shared is the server for tests that do not stop the server.
var shared *pgtest.Server

func TestMain(m *testing.M) {
	var err error
	if shared, err = pgtest.New(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	for _, c := range unused {
		c.close()
	}
	shared.Remove()
	if err := goleak.Find(); err != nil && code == 0 { // W12: neither the store nor what the tests start leaves a goroutine behind
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
