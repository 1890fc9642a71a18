package main

import (
	"fmt"
	"math"
	"os"
	"strings"
)

// table is a benchmark as a table: a row for each size, a column for each of those who did it, and one that compares
// the first of them with another.
type table struct {
	name    string // of the place in the document
	bench   string
	size    string // the heading of the rows; none if there is one
	by      []string
	unit    string
	against string   // in whose figures the first is expressed; none if there is nothing to compare with
	of      []string // where the rows are not sizes: what they are
}

var tables = []table{
	{"wake-etcd", "WakeOnEtcd", "watchers", []string{"watchkv", "clientv3"}, "sec/op", "clientv3", nil},
	{"wake-etcd-allocs", "WakeOnEtcd", "watchers", []string{"watchkv", "clientv3"}, "allocs/op", "clientv3", nil},
	{"wake-memory", "WakeInMemory", "watchers", []string{"watchkv", "channel", "statedb", "memdb"}, "sec/op", "channel", nil},
	{"wake-memory-allocs", "WakeInMemory", "watchers", []string{"watchkv", "channel", "statedb", "memdb"}, "allocs/op", "", nil},
	{"wake-every", "WakeEveryInMemory", "watchers", []string{"watchkv", "channel"}, "sec/op", "channel", nil},
	{"other-keys", "PutWithWatchersOfOtherKeys", "store", []string{"with-watchers", "without-watchers"}, "sec/op", "without-watchers", []string{"watchkv", "statedb", "memdb"}},
	{"one-of-many", "WakeOneOfMany", "watched keys", []string{"watchkv", "statedb", "memdb"}, "sec/op", "statedb", nil},
	{"one-of-many-values", "WakeOneOfManyValues", "Values", []string{"watchkv"}, "sec/op", "", nil},
	{"after-many", "WakeAfterManyUpdates", "updates before", []string{"watchkv"}, "sec/op", "", nil},
	{"put", "AmongKeys/do=put", "keys", []string{"watchkv", "statedb", "memdb"}, "sec/op", "statedb", nil},
	{"get", "AmongKeys/do=get", "keys", []string{"watchkv", "statedb", "memdb"}, "sec/op", "statedb", nil},
	{"key-bytes", "AmongKeys/do=keep", "keys", []string{"watchkv", "statedb", "memdb"}, "B/key", "statedb", nil},
	{"idle-watcher", "IdleWatcher", "", []string{"watchkv", "channel", "statedb", "memdb", "clientv3"}, "B/each", "", nil},
	{"idle-value", "IdleValue", "", []string{"watchkv"}, "B/each", "", nil},
	{"first", "FirstGet/of=etcd", "", []string{"watchkv", "clientv3"}, "sec/op", "clientv3", nil},
	{"range", "ReadRange", "keys", []string{"watchkv", "clientv3"}, "sec/op", "clientv3", nil},
	{"map-first", "MapFirstView", "keys", []string{"watchkv", "clientv3"}, "sec/op", "clientv3", nil},
	{"map-update-etcd", "MapUpdate/store=etcd", "keys", []string{"watchkv"}, "sec/op", "", nil},
	{"map-update-memory", "MapUpdate/store=memory", "keys", []string{"watchkv"}, "sec/op", "", nil},
	{"map-heap", "MapHeap", "bytes of a value", []string{"watchkv"}, "B/key", "", nil},
	{"map-watchers", "MapWatchers", "watchers", []string{"watchkv"}, "B/each", "", nil},
	{"dies", "MemberDies", "", []string{"watchkv", "clientv3"}, "sec/op", "clientv3", nil},
	{"burst-time", "Burst", "", []string{"watchkv", "watchkv-every", "clientv3", "clientv3-late"}, "sec/op", "clientv3", nil},
	{"burst-held", "Burst", "", []string{"watchkv", "watchkv-every", "clientv3"}, "MiB-held", "clientv3", nil},
}

func (t table) markdown(m *measurements) string {
	var rows [][]string
	head := []string{}
	if t.size != "" {
		head = append(head, t.size)
	}
	head = append(head, t.by...)
	if t.against != "" {
		head = append(head, t.by[0]+" ÷ "+t.against)
	}
	rows = append(rows, head)
	type row struct {
		bench string
		size  int
		label string
	}
	var all []row
	for _, of := range t.of {
		all = append(all, row{t.bench + "/of=" + of, 0, of})
	}
	if t.of == nil {
		for _, size := range m.sizes[t.bench] {
			all = append(all, row{t.bench, size, thousands(size)})
		}
	}
	for _, r := range all {
		var row []string
		if t.size != "" {
			row = append(row, r.label)
		}
		for _, by := range t.by {
			cell := "-"
			if s, ok := m.of(figure{r.bench, r.size, by, t.unit}); ok {
				cell = text(s.median, t.unit)
			}
			row = append(row, cell)
		}
		if t.against != "" {
			cell := "-"
			if s, ok := m.combined(figure{r.bench, r.size, t.by[0], t.unit}, figure{r.bench, r.size, t.against, t.unit}, ratio); ok {
				cell = s.text("×")
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return markdown(rows)
}

// goal is a figure that the design sets.
type goal struct {
	what, reach string
	unit        string
	holds       func(median float64) bool
	a, b        figure
	combine     func(a, b float64) float64
}

func atMost(limit float64) func(float64) bool  { return func(v float64) bool { return v <= limit } }
func atLeast(limit float64) func(float64) bool { return func(v float64) bool { return v >= limit } }

func goals(m *measurements) []goal {
	wakeEtcd := func(n int, by string) figure { return figure{"WakeOnEtcd", n, by, "sec/op"} }
	put := func(by string) figure { return figure{"PutWithWatchersOfOtherKeys/of=watchkv", 0, by, "sec/op"} }
	gs := []goal{
		{"one watcher on etcd, from put to Get returned, compared with a bare watch", "1.05 × or less", "×", atMost(1.05),
			wakeEtcd(1, "watchkv"), wakeEtcd(1, "clientv3"), ratio},
		{"1,000 watchers of one key on etcd, an update, compared with as many bare watches", "20 × faster", "× faster", atLeast(20),
			wakeEtcd(1000, "clientv3"), wakeEtcd(1000, "watchkv"), ratio},
		{"10,000 watchers", "20 × faster", "× faster", atLeast(20),
			wakeEtcd(10_000, "clientv3"), wakeEtcd(10_000, "watchkv"), ratio},
	}
	for _, n := range m.sizes["WakeInMemory"] {
		what := thousands(n) + " watchers"
		if n == 1 {
			what = "waking one watcher in memory, compared with closing one channel"
		}
		gs = append(gs, goal{what, "1.5 × or less", "×", atMost(1.5),
			figure{"WakeInMemory", n, "watchkv", "sec/op"}, figure{"WakeInMemory", n, "channel", "sec/op"}, ratio})
	}
	return append(gs,
		goal{"heap of an idle watcher, beyond its goroutine's", "256 bytes or less", "B", atMost(256),
			figure{"IdleWatcher", 10_000, "watchkv", "B/each"}, figure{"IdleWatcher", 10_000, "channel", "B/each"}, difference},
		goal{"a put in memory while 100,000 watchers watch other keys, compared with a put without", "1.1 × or less", "×", atMost(1.1),
			put("with-watchers"), put("without-watchers"), ratio},
		goal{"requests of an idle Value in a minute", "1 or less", "", atMost(1),
			figure{"IdleMinute/store=etcd", 0, "watchkv", "requests/value"}, figure{"IdleMinute/store=etcd", 0, "watchkv", "requests/value"},
			func(a, _ float64) float64 { return a }},
		goal{"processor time of an idle Value in a minute", "none", "µs", atMost(1000),
			figure{"IdleMinute/store=memory", 0, "watchkv", "cpu-µs/value"}, figure{"IdleMinute/store=memory", 0, "watchkv", "cpu-µs/value"},
			func(a, _ float64) float64 { return a }},
		goal{"reading 100,000 keys at one revision, compared with a bare range read", "1.2 × or less", "×", atMost(1.2),
			figure{"ReadRange", 100_000, "watchkv", "sec/op"}, figure{"ReadRange", 100_000, "clientv3", "sec/op"}, ratio},
		goal{"the first View of a Map of 100,000 keys on three members, compared with a bare range read that is decoded", "1.2 × or less", "×", atMost(1.2),
			figure{"MapFirstView", 100_000, "watchkv", "sec/op"}, figure{"MapFirstView", 100_000, "clientv3", "sec/op"}, ratio},
		goal{"an update of one key of a Map on etcd, among 100,000 keys compared with among 100", "2 × or less", "×", atMost(2),
			figure{"MapUpdate/store=etcd", 100_000, "watchkv", "sec/op"}, figure{"MapUpdate/store=etcd", 100, "watchkv", "sec/op"}, ratio},
		mapHeap(10, 140), mapHeap(100, 320), mapHeap(1000, 2120),
		goal{"watches of the store for 1,000 watchers of a Map", "1", "", atMost(1),
			figure{"MapWatchers", 1000, "watchkv", "watches"}, figure{"MapWatchers", 1000, "watchkv", "watches"},
			func(a, _ float64) float64 { return a }},
	)
}

// mapHeap is a goal for values of some bytes. Keys have about ten.
func mapHeap(size int, limit float64) goal {
	f := figure{"MapHeap", size, "watchkv", "B/key"}
	return goal{
		fmt.Sprintf("heap for each key of a Map with values of %s bytes: twice the key and the value, and 100 bytes", thousands(size)),
		thousands(int(limit)) + " bytes or less", "B", atMost(limit), f, f, func(a, _ float64) float64 { return a },
	}
}

func goalsTable(m *measurements) string {
	rows := [][]string{{"what", "to be reached", "measured", ""}}
	for _, g := range goals(m) {
		s, ok := m.combined(g.a, g.b, g.combine)
		if !ok {
			rows = append(rows, []string{g.what, g.reach, "-", "not measured"})
			continue
		}
		verdict := "reached"
		if !g.holds(s.median) {
			verdict = "**missed**"
		}
		rows = append(rows, []string{g.what, g.reach, s.text(g.unit), verdict})
	}
	return markdown(rows)
}

// writeTables replaces what stands between the marks of each table in a document.
func writeTables(m *measurements, file string) error {
	doc, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	contents := map[string]string{
		"goals": goalsTable(m),
		"machine": fmt.Sprintf("Measured on %s, %s, %s cores, with %s: %d passes.\n",
			m.config["date"], strings.TrimSpace(m.config["cpu"]), m.config["cores"], m.config["go"], m.passes),
	}
	for _, t := range tables {
		contents[t.name] = t.markdown(m)
	}
	text := string(doc)
	for name, content := range contents {
		begin, end := "<!-- measured: "+name+" -->\n", "<!-- end -->\n"
		before, rest, ok := strings.Cut(text, begin)
		if !ok {
			continue // the document does without
		}
		_, after, ok := strings.Cut(rest, end)
		if !ok {
			return fmt.Errorf("%s: nothing ends the table %s", file, name)
		}
		text = before + begin + content + end + after
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

func markdown(rows [][]string) string {
	var text strings.Builder
	for i, row := range rows {
		text.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			text.WriteString("|" + strings.Repeat(" --- |", len(row)) + "\n")
		}
	}
	return text.String()
}

// text is the spread with a unit: 1.04 × (0.98 to 1.21).
func (s spread) text(unit string) string {
	text := short(s.median)
	if unit != "" {
		text += " " + unit
	}
	if least, most := short(s.least), short(s.most); least != most {
		text += fmt.Sprintf(" (%s to %s)", least, most)
	}
	return text
}

// text is a figure in words.
func text(v float64, unit string) string {
	switch unit {
	case "sec/op":
		return seconds(v)
	case "B/key", "B/each", "B/op":
		return short(v) + " B"
	case "MiB-held":
		return short(v) + " MiB"
	case "allocs/op":
		return thousands(int(math.Round(v)))
	}
	return short(v)
}

func seconds(v float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1, "s"}, {1e-3, "ms"}, {1e-6, "µs"}} {
		if v >= u.size {
			return short(v/u.size) + " " + u.name
		}
	}
	return short(v/1e-9) + " ns"
}

// short is v with three digits that count, or with all before the point. What is next to nothing is said to be that.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return thousands(int(math.Round(v)))
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case a < 0.005:
		return "< 0.01"
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// thousands is n with a comma at each thousand.
func thousands(n int) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
