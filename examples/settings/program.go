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

// program is what works with the configuration.
type program struct {
	config *value.Value[Config]
}

// startAfter is how long a start waits for the store before it takes what was last known.
const startAfter = 5 * time.Second

// newProgram returns the program, which follows its configuration until stop is called. known keeps the last good configuration, for a
// start at which the store does not answer, or has a bad one; it may be nil.
func newProgram(s kv.Store, known value.LastKnown, logger *slog.Logger) (p *program, stop func()) {
	options := []value.Option{
		value.WithLogger(logger),
		value.WithLatestAfterDeletion(), // who deletes the configuration does not stop the program
	}
	if known != nil {
		options = append(options, value.WithLastKnown(known, startAfter))
	}
	p = &program{config: value.NewBundle(s, kv.Prefix(prefix), decode, options...)}
	return p, p.config.KeepCurrent()
}

// current waits until the program works with a configuration that is not older than the call.
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

// hello is the work of the program. Each request takes the newest configuration, which costs an atomic load.
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
	Revision  kv.Revision `json:"revision,omitempty"`  // of the configuration that is in force
	LastKnown bool        `json:"lastKnown,omitempty"` // it is what was last known, and not from the store
	Connected bool        `json:"connected"`           // to the store
	Confirmed string      `json:"confirmed,omitempty"` // how long ago the store has confirmed the configuration
	Bad       string      `json:"bad,omitempty"`       // what is wrong with the newest configuration, which is not in force
	Error     string      `json:"error,omitempty"`     // why the store is out of reach
}

// ready reports whether the program has a configuration to work with. An outage of the store and a bad newest configuration are only
// shown: the program goes on with the last good one, and to take all its instances out of service would make an outage of their own.
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
