package backendtest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/watchkv/watchkv/kv/backend/backendtest"
)

func ExampleLink() {
	var network net.Dialer
	link := backendtest.NewLink(network.DialContext)
	defer link.Close()

	// With pgx it is config.ConnConfig.DialFunc = link.DialContext, with others an option of a similar name.
	dial := link.DialContext

	link.Cut()
	_, err := dial(context.Background(), "tcp", "localhost:5432")
	fmt.Println(errors.Is(err, syscall.ECONNREFUSED))
	// Output: true
}
