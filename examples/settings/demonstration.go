package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/watchkv/watchkv/kv/memory"
)

// demonstrate shows what the editor allows, and what it refuses.
func demonstrate(ctx context.Context, out io.Writer) error {
	s := memory.New()
	p, end := newProgram(s, nil, slog.New(slog.DiscardHandler))
	defer end()
	h := handler(p, s)
	for _, request := range []struct{ what, method, path, seen, body string }{
		{"There is no configuration yet", "GET", "/settings", "", ""},
		{"Make one", "PUT", "/settings", `"0-0"`, `{"greeting":"Hello","perUser":5,"total":100}`},
		{"Two users see it, and both change it", "GET", "/settings", "", ""},
		{"The first one", "PUT", "/settings", `"2-4"`, `{"greeting":"Good day","perUser":5,"total":100}`},
		{"The second one has not seen that", "PUT", "/settings", `"2-4"`, `{"greeting":"Hello","perUser":7,"total":100}`},
		{"Keys that contradict each other", "PUT", "/settings", `"3-4"`, `{"greeting":"Hello","perUser":7,"total":1}`},
		{"A switch needs no version", "PUT", "/settings/features/search", "", "true"},
		{"The program has followed", "GET", "/hello", "", ""},
	} {
		if request.path == "/hello" {
			if err := p.current(ctx); err != nil {
				return err
			}
		}
		a, err := ask(ctx, h, request.method, request.path, request.seen, request.body)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s:\n    %s %s %s\n    %d %s %s\n", request.what, request.method, request.path, request.body,
			a.status, a.header.Get("ETag"), strings.TrimSpace(a.body.String()))
	}
	return nil
}

// answer is what a handler has answered.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *answer) WriteHeader(status int)      { a.status = status }

// ask makes one request without a network.
func ask(ctx context.Context, h http.Handler, method, path, seen, body string) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if seen != "" {
		r.Header.Set("If-Match", seen)
	}
	a := &answer{status: http.StatusOK, header: make(http.Header)}
	h.ServeHTTP(a, r)
	return a, nil
}
