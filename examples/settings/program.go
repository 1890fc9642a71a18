package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// program works with the configuration.
type program struct {
	config *value.Value[Config]
}

// startAfter is how long a start waits for the store before it uses the last known configuration.
const startAfter = 5 * time.Second

// newProgram returns the program. It follows its configuration until stop is called. known keeps the last good configuration, for a
// start at which the store does not answer, or has a bad configuration. It may be nil.
func newProgram(s kv.Store, known value.LastKnown, logger *slog.Logger) (p *program, stop func()) {
	options := []value.Option{
		value.WithLogger(logger),
		value.WithLatestAfterDeletion(), // a deletion of the configuration does not stop the program
	}
	if known != nil {
		options = append(options, value.WithLastKnown(known, startAfter))
	}
	p = &program{config: value.NewBundle(s, kv.Prefix(prefix), decode, options...)}
	return p, p.config.KeepCurrent()
}

// current waits until the program has a configuration that is not older than the call.
func (p *program) current(ctx context.Context) error {
	w := p.config.Watch()
	defer w.Close()
	_, err := w.Get(ctx)
	return err
}

func (p *program) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /hello", p.hello)
	mux.HandleFunc("GET /ready", p.ready)
}

// hello is the work of the program. Each request uses the newest configuration. That costs only an atomic load.
func (p *program) hello(w http.ResponseWriter, _ *http.Request) {
	c, ok := p.config.Latest()
	if !ok {
		http.Error(w, "there is no configuration yet", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, c.Value.Greeting)
}

// readiness is the answer to a probe.
type readiness struct {
	Ready     bool        `json:"ready"`
	Revision  kv.Revision `json:"revision,omitempty"`  // the revision of the configuration in use
	LastKnown bool        `json:"lastKnown,omitempty"` // the configuration is the last known one, not from the store
	Connected bool        `json:"connected"`           // whether the store is connected
	Confirmed string      `json:"confirmed,omitempty"` // how long ago the store confirmed the configuration
	Bad       string      `json:"bad,omitempty"`       // what is wrong with the newest configuration, which is not used
	Error     string      `json:"error,omitempty"`     // why the store cannot be reached
}

// ready reports whether the program has a configuration. It only shows an outage of the store or a bad newest configuration: the program still works
// with the last good one, and an outage of the store must not take all instances of the program out of service.
func (p *program) ready(w http.ResponseWriter, _ *http.Request) {
	c, ok := p.config.Latest()
	s := p.config.Status()
	r := readiness{Ready: ok, Revision: c.Revision, LastKnown: s.LastKnown, Connected: s.Connected}
	if !s.Confirmed.IsZero() {
		r.Confirmed = time.Since(s.Confirmed).Round(time.Second).String()
	}
	if s.BadValue != nil {
		r.Bad = s.BadValue.Error()
	}
	if !s.Connected && s.LastError != nil {
		r.Error = s.LastError.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(r)
}

// handler serves the program and its editor.
func handler(p *program, s store) http.Handler {
	mux := http.NewServeMux()
	p.handle(mux)
	(&editor{store: s, patience: 10 * time.Second}).handle(mux)
	return mux
}

// serve serves requests until ctx ends.
func serve(ctx context.Context, addr string, h http.Handler) error {
	server := &http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	return server.ListenAndServe()
}
