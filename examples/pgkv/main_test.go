package pgkv_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/watchkv/watchkv/examples/pgkv/pgtest"
)

// shared is the server of the tests that do not stop it.
var shared *pgtest.Server

func TestMain(m *testing.M) {
	var err error
	if shared, err = pgtest.New(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	shared.Remove()
	os.Exit(code)
}
