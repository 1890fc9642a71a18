package etcd_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/watchkv/watchkv/kv"
)

// way is a way not to connect.
type way struct {
	wrong  string // what is wrong
	config func(t *testing.T, p *places) clientv3.Config
	words  string        // a part of the error's text
	after  time.Duration // about how long it takes until the error is reported
	reason error         // what the error matches; nil for the error of clientv3.New
	advice string
}

const (
	answered = time.Duration(0)
	looked   = 2 * time.Second  // a read is slow, and the client has failed to connect
	waited   = 5 * time.Second  // and the client has not failed yet
	judged   = 4 * time.Second  // and the client is connected
	gaveUp   = 20 * time.Second // gRPC has given up an attempt to connect
)

// ways are the rows of the table. Where the text of the error is etcd's, the server is a real member.
var ways = []way{
	{"nothing listens at the port", at(unusedAddress), "connection refused", looked, kv.ErrUnavailable,
		"Start etcd, or correct the port. Where a firewall rejects connections, the words are the same."},
	{"the host does not exist", func(t *testing.T, _ *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{"etcd.invalid:2379"}, DialOptions: []grpc.DialOption{asking(t)}}
	}, "no such host", looked, kv.ErrUnavailable, "Correct the host's name, or the DNS server that is named."},
	{"packets are swallowed", func(*testing.T, *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{"10.0.0.1:2379"}, DialOptions: []grpc.DialOption{swallowing()}}
	}, "nothing has answered an attempt to connect", waited, kv.ErrUnavailable,
		"Look for a firewall that drops packets, a machine that is off, a wrong address. After 20 s gRPC gives up the attempt: next row."},
	{"packets are swallowed, later", func(*testing.T, *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{"10.0.0.1:2379"}, DialOptions: []grpc.DialOption{swallowing(), impatient()}}
	}, "i/o timeout", gaveUp, kv.ErrUnavailable, "The same."},
	{"the server hangs: it accepts connections and says nothing", at(hung),
		"nothing has answered an attempt to connect", waited, kv.ErrUnavailable,
		"Look at the server, which may be frozen, and at what is between it and the client. After 20 s gRPC gives up the attempt: next row."},
	{"the server hangs, later", func(t *testing.T, _ *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{hung(t)}, DialOptions: []grpc.DialOption{impatient()}}
	}, "has accepted the connection and said nothing", gaveUp, kv.ErrUnavailable, "The same."},
	{"the server hangs, later, and the client uses TLS", func(t *testing.T, p *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{"https://" + hung(t)}, TLS: p.ca.trusting(), DialOptions: []grpc.DialOption{impatient()}}
	}, "has accepted the connection and said nothing", gaveUp, kv.ErrUnavailable, "The same."},
	{"no port in the endpoint", func(*testing.T, *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{"10.0.0.1"}}
	}, "missing port in address", looked, kv.ErrUnavailable, "Add the port: there is no default."},
	{"an endpoint of another scheme", func(*testing.T, *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{"etcd://10.0.0.1:2379"}}
	}, "too many colons in address", looked, kv.ErrUnavailable,
		"Write `host:port`, `http://host:port` or `https://host:port`; `unix://path` for a socket."},

	{"the server's certificate is of a CA that the client does not trust", tlsWith(func(t *testing.T, p *places) *tls.Config {
		return p.otherCA.trusting(p.ca.sign(t, nil))
	}), "signed by unknown authority", looked, kv.ErrUnavailable,
		"Give the client the CA of the cluster, in `RootCAs` of its `TLS`."},
	{"`https://` without `TLS` in the configuration", tlsWith(func(*testing.T, *places) *tls.Config { return nil }),
		"signed by unknown authority", looked, kv.ErrUnavailable,
		"Set `TLS`, with the CA of the cluster: without it the client trusts the CAs of its machine."},
	{"the server's certificate has expired", certificateOf(expired), "expired", looked, kv.ErrUnavailable,
		"Renew the certificate of the member, or set the clock of the client."},
	{"the server's certificate is for another name", certificateOf(ofAnotherName), "not localhost", looked, kv.ErrUnavailable,
		"Connect by a name that the certificate has, or set `ServerName` in `TLS`."},
	{"the client has no certificate", asked(func(_ *testing.T, p *places) *tls.Config { return p.ca.trusting() }),
		"certificate required", looked, kv.ErrUnavailable,
		"Set `Certificates` in `TLS`: the member runs with --client-cert-auth. A certificate of another CA than the member asks for is not sent."},
	{"the client's certificate has expired", asked(func(t *testing.T, p *places) *tls.Config {
		return p.ca.trusting(p.ca.sign(t, expired))
	}), "expired certificate", looked, kv.ErrUnavailable,
		"Renew the certificate of the client. With `GetClientCertificate` in `TLS` it can be read again for each connection."},
	{"a client without TLS at a port with TLS", func(t *testing.T, p *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{"127.0.0.1:" + secured(t, &tls.Config{Certificates: []tls.Certificate{p.ca.sign(t, nil)}})}}
	}, "does it want TLS?", looked, kv.ErrUnavailable,
		"Write `https://` and set `TLS`."},
	{"`TLS` is set and the endpoint begins with `http://`", func(t *testing.T, p *places) clientv3.Config {
		own := p.ca.sign(t, nil)
		port := secured(t, &tls.Config{Certificates: []tls.Certificate{own}})
		return clientv3.Config{Endpoints: []string{"http://127.0.0.1:" + port}, TLS: p.ca.trusting(own)}
	}, "does it want TLS?", looked, kv.ErrUnavailable,
		"Write `https://`: for `http://` the client takes no notice of `TLS`. The first endpoint decides for all."},
	{"a client with TLS at a port without", func(t *testing.T, p *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{"https://" + p.plain}, TLS: p.ca.trusting(p.ca.sign(t, nil))}
	}, "does it have TLS?", looked, kv.ErrUnavailable,
		"Write `http://`, or let the member listen with TLS."},

	{"the port for the other members", func(_ *testing.T, p *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{p.peers}}
	}, "the server speaks HTTP/1.1", looked, kv.ErrUnavailable,
		"Use the port for clients, mostly 2379. The one for members is mostly 2380."},
	{"a web server, or a proxy for HTTP/1", at(func(t *testing.T) string { return website(t, (*httptest.Server).Start) }),
		"the server speaks HTTP/1.1", looked, kv.ErrUnavailable,
		"Correct the address. A proxy before etcd has to pass on HTTP/2."},
	{"a web server with TLS for HTTP/1", func(t *testing.T, _ *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{website(t, (*httptest.Server).StartTLS)}, TLS: &tls.Config{InsecureSkipVerify: true}}
	}, "no application protocol", looked, kv.ErrUnavailable, "The same."},
	{"a web server for HTTP/2", func(t *testing.T, _ *places) clientv3.Config {
		start := func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }
		return clientv3.Config{Endpoints: []string{website(t, start)}, TLS: &tls.Config{InsecureSkipVerify: true}}
	}, "404 (Not Found)", answered, kv.ErrUnsupported, "Correct the address, or the route of the proxy."},
	{"a server of gRPC that is not etcd", at(otherService), "unknown service etcdserverpb.KV", answered, kv.ErrUnsupported, "Correct the address."},

	{"the member has no leader", func(_ *testing.T, p *places) clientv3.Config { return p.leaderless.ClientConfig(0) },
		"etcdserver: no leader", judged, kv.ErrUnavailable,
		"See why the member is cut off from most others, or why most do not run. Name all members in `Endpoints`: the client then uses another."},
	{"the user may not read the key", func(_ *testing.T, p *places) clientv3.Config {
		return login(p.guarded.ClientConfig(), "right")
	}, "permission denied", answered, kv.ErrPermission, "Grant a role that may read the key to the user. The watcher notices."},
	{"no user is named, and etcd asks for one", func(_ *testing.T, p *places) clientv3.Config { return p.guarded.ClientConfig() },
		"user name is empty", answered, kv.ErrPermission, "Set `Username` and `Password`, both."},
	{"the password is wrong", func(_ *testing.T, p *places) clientv3.Config { return login(p.guarded.ClientConfig(), "wrong") },
		"invalid user ID or password", answered, nil, "Correct `Username` and `Password`."},
	{"a user is named, and nothing listens at the port", func(t *testing.T, _ *places) clientv3.Config {
		cfg := login(clientv3.Config{Endpoints: []string{unusedAddress(t)}}, "right")
		cfg.DialTimeout = looked
		return cfg
	}, "context deadline exceeded", looked, nil,
		"`clientv3.New` logs in, for as long as `DialTimeout` allows, which was 2 s here and is for ever unless it is set. It does not say the cause: leave the user out to see it."},
}

// at is the configuration of a client of one plain endpoint.
func at(place func(*testing.T) string) func(*testing.T, *places) clientv3.Config {
	return func(t *testing.T, _ *places) clientv3.Config { return clientv3.Config{Endpoints: []string{place(t)}} }
}

// tlsWith is the configuration of a client of the member's port with TLS.
func tlsWith(own func(*testing.T, *places) *tls.Config) func(*testing.T, *places) clientv3.Config {
	return func(t *testing.T, p *places) clientv3.Config {
		return clientv3.Config{Endpoints: []string{"https://" + p.secure}, TLS: own(t, p)}
	}
}

// certificateOf is the configuration of a client of a server whose certificate change has edited.
func certificateOf(change func(*x509.Certificate)) func(*testing.T, *places) clientv3.Config {
	return func(t *testing.T, p *places) clientv3.Config {
		port := secured(t, &tls.Config{Certificates: []tls.Certificate{p.ca.sign(t, change)}})
		return clientv3.Config{Endpoints: []string{"https://localhost:" + port}, TLS: p.ca.trusting(p.ca.sign(t, nil))}
	}
}

// asked is the configuration of a client of a server that asks for a certificate.
func asked(own func(*testing.T, *places) *tls.Config) func(*testing.T, *places) clientv3.Config {
	return func(t *testing.T, p *places) clientv3.Config {
		port := secured(t, &tls.Config{
			Certificates: []tls.Certificate{p.ca.sign(t, nil)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p.ca.trusting().RootCAs,
		})
		return clientv3.Config{Endpoints: []string{"https://127.0.0.1:" + port}, TLS: own(t, p)}
	}
}

func login(config clientv3.Config, password string) clientv3.Config {
	config.Username, config.Password = "app", password
	return config
}

// impatient makes gRPC give up an attempt to connect after a second, not after 20.
func impatient() grpc.DialOption {
	return grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: time.Second})
}
