package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/examples/endpoints/endpoint"
	"github.com/watchkv/watchkv/examples/endpoints/register"
)

const service = "greeter"

// instance is one instance of the service: a server that is registered while it runs.
type instance struct {
	client *clientv3.Client
	server *http.Server
	stop   func() // ends the registration
	kept   sync.WaitGroup
}

// serve starts an instance. It answers requests with its name.
func serve(ctx context.Context, config clientv3.Config, name string) (*instance, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	client, err := clientv3.New(config)
	if err != nil {
		l.Close()
		return nil, err
	}
	value, err := endpoint.Codec.Encode(endpoint.Endpoint{Addr: l.Addr().String()})
	if err != nil {
		l.Close()
		client.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	i := &instance{client: client, stop: stop, server: &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }),
	}}
	go i.server.Serve(l) // before the registration, because a registered instance must answer
	i.kept.Go(func() {
		register.Keep(ctx, client, register.Instance{Key: endpoint.Key(service, name), Value: value, TTL: 2 * time.Second})
	})
	return i, nil
}

// end ends the instance properly: it deletes its key before it stops serving.
func (i *instance) end() {
	i.stop()
	i.kept.Wait()
	i.server.Close() // a real service would serve a little longer, for clients that do not know of the deletion yet
	i.client.Close()
}

// kill ends the instance like a crash: etcd is not notified.
func (i *instance) kill() {
	i.server.Close()
	i.client.Close()
	i.stop()
	i.kept.Wait()
}

// get makes one request.
func get(ctx context.Context, addr string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
