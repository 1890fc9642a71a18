package value_test

import (
	"log/slog"
	"strings"
	"sync"

	"github.com/watchkv/watchkv/value"
)

// logbook is a logger's output.
type logbook struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

func (l *logbook) option() value.Option {
	return value.WithLogger(slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

func (l *logbook) count(text string) int { return strings.Count(l.String(), text) }
