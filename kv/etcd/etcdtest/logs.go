package etcdtest

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logs keeps what all servers of a cluster log, in memory.
type logs struct {
	mu  sync.Mutex
	buf []byte
}

// mostLogs is the most bytes of log that are kept. At least the last half of that is kept.
const mostLogs = 4 << 20

// logger returns a logger that writes under the given name.
func (l *logs) logger(name string) *zap.Logger {
	return newLogger(l, name, zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return &dyingWords{Core: core, logs: l}
	}))
}

func newLogger(to zapcore.WriteSyncer, name string, opts ...zap.Option) *zap.Logger {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), to, zap.InfoLevel)
	return zap.New(core, opts...).Named(name)
}

// Write implements zapcore.WriteSyncer.
func (l *logs) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, line...)
	if len(l.buf) > mostLogs {
		kept := l.buf[len(l.buf)-mostLogs/2:]
		kept = kept[bytes.IndexByte(kept, '\n')+1:] // without the first line, which is incomplete
		l.buf = append([]byte(nil), kept...)
	}
	return len(line), nil
}

// Sync implements zapcore.WriteSyncer.
func (l *logs) Sync() error { return nil }

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}

// lastLines returns the last n lines of logs, and the number of lines before them. It leaves out the rest, because the failure of the test is
// printed above the logs and should be easy to find.
func lastLines(logs string, n int) string {
	lines := strings.SplitAfter(logs, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	if len(lines) <= n {
		return logs
	}
	left := len(lines) - n
	return fmt.Sprintf("(%d lines before these are shown by go test -v)\n%s", left, strings.Join(lines[left:], ""))
}

// dyingWords prints the logs when a server is about to end the process. Otherwise they would be lost.
type dyingWords struct {
	zapcore.Core
	logs *logs
}

// Check implements zapcore.Core.
func (d *dyingWords) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if d.Enabled(e.Level) {
		return ce.AddCore(e, d)
	}
	return ce
}

// With implements zapcore.Core.
func (d *dyingWords) With(fields []zapcore.Field) zapcore.Core {
	return &dyingWords{Core: d.Core.With(fields), logs: d.logs}
}

// Write implements zapcore.Core.
func (d *dyingWords) Write(e zapcore.Entry, fields []zapcore.Field) error {
	err := d.Core.Write(e, fields)
	if e.Level >= zapcore.PanicLevel {
		os.Stderr.WriteString("etcdtest: a server ends this process; the servers' logs:\n" + d.logs.String())
	}
	return err
}
