package etcd

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/codes"
)

// attempts is the known result of a client's attempts to connect since it was last connected.
type attempts struct{ failed atomic.Pointer[cause] }

// connected forgets the attempts that failed.
func (a *attempts) connected() {
	if a.failed.Load() != nil {
		a.failed.Store(nil)
	}
}

// noConnection returns the error of a client that is not connected to any of its endpoints. The last attempt ended with err, or
// has not ended. An attempt without a cause does not hide the cause of an earlier attempt.
func (a *attempts) noConnection(endpoints []string, err error) error {
	if len(endpoints) == 0 {
		return &cause{"the client has no endpoints", err}
	}
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

// isConnectionError reports whether err is gRPC's error for an attempt to connect that has failed.
func isConnectionError(err error) bool {
	code, text := said(err)
	return code == codes.Unavailable && strings.Contains(text, "connection error")
}

// withoutPrefix returns err without the words that gRPC puts around it.
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

// cause is why a client cannot connect: an error of gRPC in fewer words.
type cause struct {
	text string
	err  error
}

func (c *cause) Error() string { return c.text }
func (c *cause) Unwrap() error { return c.err }

const (
	// prefaceFailed begins gRPC's error for a connection that was accepted and then brought no beginning of HTTP/2.
	prefaceFailed = "error reading server preface: "
	// handshakeFailed begins gRPC's error for a connection on which TLS has failed.
	handshakeFailed = "authentication handshake failed: "
)

// meaning returns what text, the error of an attempt to connect, probably means. It returns nothing if text is clear. To give up
// an attempt, gRPC closes the connection that it reads from.
func meaning(text string) string {
	preface, begun := strings.CutPrefix(text, prefaceFailed)
	handshake, _ := strings.CutPrefix(text, handshakeFailed)
	switch {
	case begun && strings.HasSuffix(preface, "use of closed network connection"), handshake == "context deadline exceeded":
		return "the server has accepted the connection and said nothing"
	case begun && (preface == "EOF" || strings.HasSuffix(preface, "connection reset by peer")):
		return "the server has closed the connection without an answer (does it want TLS?)"
	case handshake == "EOF":
		return "the server has closed the connection without an answer (does it have TLS?)"
	case begun && strings.Contains(preface, "looked like an HTTP/1.1 header"):
		return "the server speaks HTTP/1.1, as a web server does, and etcd at its port for other members"
	}
	return ""
}

// isHangUp reports whether err says only that the other side has closed a connection. The other side may have sent the reason, and
// the reason may be lost because the client was still sending.
func isHangUp(err error) bool {
	_, text := said(err)
	for _, hangUp := range []string{"broken pipe", "connection reset by peer", "error reading from server: EOF"} {
		if strings.Contains(text, hangUp) {
			return true
		}
	}
	return false
}

// isOfEtcd reports whether err is one of etcd's own errors. The client's own timeout has the same text as one of them, and does not count.
func isOfEtcd(err error) bool {
	_, text := said(err)
	_, known := reasons[text]
	return known && !isTimeout(err)
}
