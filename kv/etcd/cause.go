package etcd

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/codes"
)

// attempts is what is known of a client's attempts to connect since it was last connected.
type attempts struct{ failed atomic.Pointer[cause] }

// connected forgets the attempts that failed.
func (a *attempts) connected() {
	if a.failed.Load() != nil {
		a.failed.Store(nil)
	}
}

// noConnection is the error of a client that is not connected to any of its endpoints, where the last attempt ended with err, or
// has not ended. An attempt that says nothing does not hide the cause that an earlier one has found.
func (a *attempts) noConnection(endpoints []string, err error) error {
	to := strings.Join(endpoints, ", ")
	earlier := a.failed.Load()
	switch {
	case isTimeout(err):
		err = &cause{fmt.Sprintf("no connection to %s yet: nothing has answered an attempt to connect", to), err}
	default:
		why := withoutPrefix(err)
		if !isHangUp(err) {
			a.failed.Store(why)
			earlier = nil
		}
		err = &cause{fmt.Sprintf("no connection to %s: %s", to, why), err}
	}
	if earlier != nil {
		err = fmt.Errorf("%w; an earlier attempt: %v", err, earlier)
	}
	return err
}

// isConnectionError reports whether err is what gRPC says when an attempt to connect has failed.
func isConnectionError(err error) bool {
	code, text := said(err)
	return code == codes.Unavailable && strings.Contains(text, "connection error")
}

// withoutPrefix returns err in its own words, without those that gRPC puts around them.
func withoutPrefix(err error) *cause {
	_, text := said(err)
	text = strings.TrimPrefix(text, "connection error: desc = ")
	if unquoted, unquote := strconv.Unquote(text); unquote == nil {
		text = unquoted
	}
	text = strings.TrimPrefix(text, "transport: ")
	if probably := meaning(text); probably != "" {
		text = probably + ": " + text
	}
	return &cause{text, err}
}

// cause is why a client cannot connect: an error of gRPC's in fewer words.
type cause struct {
	text string
	err  error
}

func (c *cause) Error() string { return c.text }
func (c *cause) Unwrap() error { return c.err }

const (
	// prefaceFailed begins what gRPC says of a connection that is there and has not brought what HTTP/2 begins with.
	prefaceFailed = "error reading server preface: "
	// handshakeFailed begins what it says of one on which TLS has not agreed.
	handshakeFailed = "authentication handshake failed: "
)

// meaning returns what text, of an attempt to connect, probably means, where it does not say so itself. gRPC gives an attempt up
// by closing the connection beneath its own read.
func meaning(text string) string {
	preface, begun := strings.CutPrefix(text, prefaceFailed)
	handshake, _ := strings.CutPrefix(text, handshakeFailed)
	switch {
	case begun && strings.HasSuffix(preface, "use of closed network connection"), handshake == "context deadline exceeded":
		return "the server has accepted the connection and said nothing"
	case begun && (preface == "EOF" || strings.HasSuffix(preface, "connection reset by peer")):
		return "the server has closed the connection without a word (does it want TLS?)"
	case handshake == "EOF":
		return "the server has closed the connection without a word (does it have TLS?)"
	case begun && strings.Contains(preface, "looked like an HTTP/1.1 header"):
		return "the server speaks HTTP/1.1, as a web server does, and etcd at its port for other members"
	}
	return ""
}

// isHangUp reports whether err says no more than that the other side has closed a connection. It may have said why, in words that
// were lost because the client was still sending.
func isHangUp(err error) bool {
	_, text := said(err)
	for _, hangUp := range []string{"broken pipe", "connection reset by peer", "error reading from server: EOF"} {
		if strings.Contains(text, hangUp) {
			return true
		}
	}
	return false
}

// isOfEtcd reports whether err is one of etcd's own. It has some in which the client's own timeout has the same text.
func isOfEtcd(err error) bool {
	_, text := said(err)
	_, known := reasons[text]
	return known && !isTimeout(err)
}
