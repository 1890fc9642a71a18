// Command report runs the benchmarks of the module it is in, and writes docs/performance.md's tables and plots from what
// they printed. Run it in the module's directory:
//
//	go run ./report                     # everything, which takes about twenty minutes
//	go run ./report -from results.txt   # only write what was measured before
//
// It goes through all benchmarks several times, rather than through each of them several times: what is compared is then
// measured within seconds of each other, on a machine in the same state.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// config is what the flags say.
type config struct {
	passes    int
	benchtime string
	only      string
	results   string
	from      string
	docs      string
}

func main() {
	var c config
	flag.IntVar(&c.passes, "passes", 5, "go through the benchmarks so many `times`")
	flag.StringVar(&c.benchtime, "benchtime", "200ms", "how long, or how often (100x), a benchmark runs in each pass if it can be repeated")
	flag.StringVar(&c.only, "bench", "^Benchmark", "run only the benchmarks whose names match this `regexp`")
	flag.StringVar(&c.results, "results", "results.txt", "write what the benchmarks print to this `file`")
	flag.StringVar(&c.from, "from", "", "run nothing: what was measured is in this `file`")
	flag.StringVar(&c.docs, "docs", "../docs", "the `directory` of performance.md, which must exist, and of the plots")
	flag.Parse()
	if err := run(c); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(c config) error {
	if c.from == "" {
		if err := measure(c.passes, c.benchtime, c.only, c.results); err != nil {
			return err
		}
		c.from = c.results
	}
	printed, err := os.Open(c.from)
	if err != nil {
		return err
	}
	defer printed.Close()
	m, err := parse(printed, c.from)
	if err != nil {
		return err
	}
	if err := writeTables(m, filepath.Join(c.docs, "performance.md")); err != nil {
		return err
	}
	return drawPlots(m, filepath.Join(c.docs, "performance"))
}

// times has the benchmarks that run a fixed number of times. Most of them measure something only once.
var times = map[string]string{
	"BenchmarkBurst": "1x", "BenchmarkIdleWatcher": "1x", "BenchmarkIdleValue": "1x", "BenchmarkIdleMinute": "1x",
	"BenchmarkSlowLink": "1x",
	"BenchmarkMapHeap":  "1x", "BenchmarkMapWatchers": "1x",
	"BenchmarkMemberDies": "5x", // between two deaths there is a restart, which takes far longer than what is measured
}

// onePass has the benchmarks that take minutes, and are the same each time: they are run in the first pass alone.
var onePass = map[string]bool{"BenchmarkIdleMinute": true, "BenchmarkSlowLink": true, "BenchmarkIdleOnPostgres": true}

// measure runs the benchmarks, each in a separate process, and writes what they print to a file.
func measure(passes int, benchtime, only, results string) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	if out, err := exec.Command("go", "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("build the benchmarks: %w\n%s", err, out)
	}
	list, err := exec.Command(binary, "-test.list", only).Output()
	if err != nil {
		return fmt.Errorf("list the benchmarks: %w", err)
	}
	unfinished := results + ".unfinished" // what was measured before is kept until there is as much again
	file, err := os.Create(unfinished)
	if err != nil {
		return err
	}
	defer file.Close()
	out := io.MultiWriter(file, os.Stdout)
	fmt.Fprintf(out, "date: %s\ngo: %s\ncores: %d\n", time.Now().Format(time.DateOnly), runtime.Version(), runtime.GOMAXPROCS(0))
	for pass := 1; pass <= passes; pass++ {
		fmt.Fprintf(out, "pass: %d\n", pass)
		for _, name := range strings.Fields(string(list)) {
			if !strings.HasPrefix(name, "Benchmark") || onePass[name] && pass > 1 {
				continue
			}
			cmd := exec.Command(binary, "-test.run=^$", "-test.timeout=10m", "-test.bench=^"+name+"$",
				"-test.benchtime="+cmp.Or(times[name], benchtime))
			cmd.Stdout, cmd.Stderr = out, os.Stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("pass %d: %s: %w", pass, name, err)
			}
		}
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(unfinished, results)
}
