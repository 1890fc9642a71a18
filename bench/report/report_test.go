package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"
)

// What stands in the document is what was measured, and not what somebody wrote.
func TestTheDocumentIsGeneratedFromTheResults(t *testing.T) {
	const docs = "../../docs"
	dir := t.TempDir()
	copyFile(t, filepath.Join(docs, "performance.md"), filepath.Join(dir, "performance.md"))
	if err := run(config{from: "../results.txt", docs: dir}); err != nil {
		t.Fatal(err)
	}
	files := []string{"performance.md"}
	for _, c := range charts {
		files = append(files, filepath.Join("performance", c.file+".svg"))
	}
	for _, name := range files {
		if read(t, filepath.Join(dir, name)) != read(t, filepath.Join(docs, name)) {
			t.Errorf("docs/%s is not what go run ./report -from results.txt makes of what was measured", name)
		}
	}
}

const printed = `date: 2026-01-02
go: go1.26
cores: 2
pass: 1
cpu: Some CPU
BenchmarkWakeOnEtcd/watchers=1000/by=watchkv-2   	1	 2000 ns/op	 5 allocs/op
BenchmarkWakeOnEtcd/watchers=1000/by=clientv3-2  	1	 60000 ns/op	 9 allocs/op
BenchmarkIdleMinute/store=etcd/by=watchkv-2      	1	 0.5 requests/value
pass: 2
BenchmarkWakeOnEtcd/watchers=1000/by=watchkv-2   	1	 3000 ns/op	 5 allocs/op
BenchmarkWakeOnEtcd/watchers=1000/by=clientv3-2  	1	 30000 ns/op	 9 allocs/op
pass: 3
BenchmarkWakeOnEtcd/watchers=1000/by=watchkv-2   	1	 1000 ns/op	 5 allocs/op
BenchmarkWakeOnEtcd/watchers=1000/by=clientv3-2  	1	 25000 ns/op	 9 allocs/op
`

func TestTablesAreMedians(t *testing.T) {
	m, err := parse(strings.NewReader(printed), "printed")
	if err != nil {
		t.Fatal(err)
	}
	table := table{"", "WakeOnEtcd", "watchers", []string{"watchkv", "clientv3"}, "sec/op", "clientv3", nil}
	want := `| watchers | watchkv | clientv3 | watchkv ÷ clientv3 |
| --- | --- | --- | --- |
| 1,000 | 2.00 µs | 30.0 µs | 0.04 × (0.03 to 0.10) |
`
	if got := table.markdown(m); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
	goals := goalsTable(m)
	for _, want := range []string{
		"| 1,000 watchers of one key on etcd, an update, compared with as many bare watches | 20 × faster | 25.0 × faster (10.0 to 30.0) | reached |",
		"| 10,000 watchers | 20 × faster | - | not measured |",
		"| requests of an idle Value in a minute | 1 or less | 0.50 | reached |",
	} {
		if !strings.Contains(goals, want) {
			t.Errorf("the table of goals lacks\n%s\nit is\n%s", want, goals)
		}
	}
}

func TestAMissedGoalIsReported(t *testing.T) {
	slow := strings.ReplaceAll(printed, "60000 ns/op", "6000 ns/op")
	slow = strings.ReplaceAll(slow, "25000 ns/op", "2500 ns/op")
	m, err := parse(strings.NewReader(slow), "slow")
	if err != nil {
		t.Fatal(err)
	}
	if goals := goalsTable(m); !strings.Contains(goals, "3.00 × faster (2.50 to 10.0) | **missed** |") {
		t.Errorf("ten times slower than it should be, the table of goals is\n%s", goals)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]figure{
		"WakeOnEtcd/watchers=10/by=clientv3-2": {bench: "WakeOnEtcd", size: 10, by: "clientv3"},
		"FirstGet/by=watchkv":                  {bench: "FirstGet", by: "watchkv"},
		"IdleMinute/store=etcd/by=watchkv-16":  {bench: "IdleMinute/store=etcd", by: "watchkv"},
	} {
		if got, err := named(benchfmt.Name(name)); err != nil || got != want {
			t.Errorf("%s is read as %+v, %v, want %+v", name, got, err, want)
		}
	}
	if _, err := named(benchfmt.Name("WakeOnEtcd/watchers=10-2")); err == nil {
		t.Error("a name that does not say by whom is accepted")
	}
}

func TestFigures(t *testing.T) {
	for want, got := range map[string]string{
		"1 ns":    seconds(1e-9),
		"12.3 µs": seconds(12.345e-6),
		"999 ms":  seconds(0.9991),
		"1.50 s":  seconds(1.5),
		"0":       short(0),
		"1,234":   short(1234.4),
		"-12":     thousands(-12),
		"100":     thousands(100),
		"-12,345": thousands(-12345),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.WriteFile(to, []byte(read(t, from)), 0o644); err != nil {
		t.Fatal(err)
	}
}
