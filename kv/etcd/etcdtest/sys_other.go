//go:build !unix

package etcdtest

import (
	"errors"
	"net"
	"os"
)

func stop(*os.Process) error { return errors.ErrUnsupported }
func thaw(*os.Process) error { return errors.ErrUnsupported }

func unblock(*net.TCPListener) {}
