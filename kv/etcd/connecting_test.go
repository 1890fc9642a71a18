package etcd_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/value"
)

var update = flag.Bool("update", false, "write the table of docs/connecting.md")

const (
	connectingDoc = "../../docs/connecting.md"
	tableBegins   = "<!-- The table is made by TestEachWayNotToConnectIsNamed -->\n"
	tableEnds     = "<!-- The table ends here -->\n"
)

// This test compares the table of docs/connecting.md with what it sees. To rewrite the table:
//
//	go test ./kv/etcd -run EachWayNotToConnect -update
//
// The test is not with the tests of package value, because most of the texts come from this package or from etcd's client. CI tests this
// package with two versions of that client.
func TestEachWayNotToConnectIsNamed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have other texts for some of these errors")
	}
	leaktest.Check(t)
	doc := string(must(os.ReadFile(connectingDoc))(t))
	before, rest, ok := strings.Cut(doc, tableBegins)
	table, after, ok2 := strings.Cut(rest, tableEnds)
	if !ok || !ok2 {
		t.Fatalf("the test itself: %s does not say where its table begins and ends", connectingDoc)
	}
	p := newPlaces(t)
	rows := make([]string, len(ways))
	var running sync.WaitGroup // no parallel subtests: the number of processors limits how many of them run at once
	for i, w := range ways {
		running.Go(func() {
			t.Run(w.wrong, func(t *testing.T) { rows[i] = w.row(t, p, table) })
		})
	}
	running.Wait()
	made := tableHead + strings.Join(rows, "")
	switch {
	case t.Failed():
	case *update:
		if err := os.WriteFile(connectingDoc, []byte(before+tableBegins+made+tableEnds+after), 0o644); err != nil {
			t.Fatal(err)
		}
	case made != table:
		t.Errorf("the table of %s differs from what this test saw. -update writes this table:\n%s", connectingDoc, made)
	}
}

const tableHead = `| what is wrong | Status.LastError | the log | after about | what to do |
| --- | --- | --- | --- | --- |
`

// row returns what a client meets in w, as a row of the table. It compares two clients: one with KeepAlive, as the documents advise, and
// one without. It waits until what they meet is a row of table.
func (w *way) row(t *testing.T, p *places, table string) string {
	config := w.config(t, p)
	config.Logger = zap.NewNop()
	var plain string
	var meeting sync.WaitGroup
	meeting.Go(func() { plain = w.meet(t, config, table) })
	documented := w.meet(t, etcd.KeepAlive(config), table)
	meeting.Wait()
	if plain != documented {
		t.Errorf("promised: keep-alive changes no text\nhappened: with it    %s\n          without it %s", documented, plain)
	}
	return documented
}

// meet returns what a Value with this configuration of its client meets in w.
func (w *way) meet(t *testing.T, config clientv3.Config, table string) string {
	began := time.Now()
	client, err := clientv3.New(config)
	if err != nil {
		w.check(t, err, time.Since(began))
		return w.render("`"+normal(err.Error())+"`, of `clientv3.New`", "")
	}
	defer client.Close()
	log := &record{}
	v := value.New(etcd.New(client), "/app/limits", value.String, value.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	watcher := v.Watch()
	defer watcher.Close()

	var seen string
	for deadline := time.After(patience); ; {
		if err := v.Status().LastError; err != nil {
			if seen = w.render("`"+normal(err.Error())+"`", log.row(err)); strings.Contains(normal(err.Error()), w.words) && (*update || strings.Contains(table, seen)) {
				w.check(t, err, time.Since(began))
				w.checkGet(t, watcher)
				return seen
			}
		}
		select {
		case <-time.After(50 * time.Millisecond): // nothing notifies of a change of Status
		case <-deadline:
			t.Errorf("\npromised: Status and the log say %q, in a row of the table\nhappened: %s\nthe log:\n%s", w.words, seen, log)
			return seen
		}
	}
}

// check checks the first error that has the words.
func (w *way) check(t *testing.T, err error, took time.Duration) {
	if !strings.Contains(normal(err.Error()), w.words) || w.reason != nil && !errors.Is(err, w.reason) {
		t.Errorf("promised: the error says %q and matches %v\nhappened: %v", w.words, w.reason, err)
	}
	if most := w.after + 8*time.Second; took > most { // on a busy machine
		t.Errorf("promised: the error is reported after about %v\nhappened: it was reported after %v", w.after, took)
	}
}

// checkGet checks that a Get does not return a temporary error, and that it does return a permanent one.
func (w *way) checkGet(t *testing.T, watcher *value.Watcher[string]) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if w.reason == kv.ErrUnavailable {
		cancel()
	}
	_, err := watcher.Get(ctx)
	if w.reason == kv.ErrUnavailable && !errors.Is(err, context.Canceled) || w.reason != kv.ErrUnavailable && !errors.Is(err, w.reason) {
		t.Errorf("a Get returned %v", err)
	}
}

func (w *way) render(status, log string) string {
	after := "at once"
	if w.after > 0 {
		after = fmt.Sprintf("%d s", int(w.after.Seconds()))
	}
	if log == "" {
		log = "nothing: it is returned"
	}
	return cells.Replace(fmt.Sprintf("| %s | %s | %s | %s | %s |", w.wrong, status, log, after, w.advice)) + "\n"
}

var cells = strings.NewReplacer("\n", `\n`)

// record is what was logged.
type record struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.String()
}

// row returns the last line as a cell of the table. In place of the error err, the cell has "(the same)".
func (r *record) row(err error) string {
	lines := strings.Split(strings.TrimSpace(r.String()), "\n")
	_, line, _ := strings.Cut(lines[len(lines)-1], " ") // without the time
	if line == "" {
		return ""
	}
	line = strings.Replace(normal(line), fmt.Sprintf("error=%q", normal(err.Error())), "error=(the same)", 1)
	return "`" + line + "`"
}

// normal returns text without the parts that differ from one run to the next.
func normal(text string) string {
	for _, n := range normals {
		text = n.pattern.ReplaceAllString(text, n.by)
	}
	return text
}

var normals = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`(127\.0\.0\.1|localhost):\d+`), "$1:2379"},
	{regexp.MustCompile(`lookup (\S+) on \S+:`), "lookup $1 on 10.0.0.53:53:"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:]+Z is after \d{4}-\d\d-\d\dT[0-9:]+Z`), "2026-02-01T00:00:00Z is after 2026-01-31T00:00:00Z"},
}
