package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// measurements are what the benchmarks printed.
type measurements struct {
	figures map[figure][]float64 // of each pass, in order
	sizes   map[string][]int     // of each benchmark, in ascending order
	config  map[string]string    // of the whole run: the processor, the version of Go
	passes  int
}

// figure is one thing that was measured.
type figure struct {
	bench string // without "Benchmark", and with what comes before the size: IdleMinute/store=etcd
	size  int    // zero where there is none
	by    string
	unit  string // sec, B/op, ...
}

func parse(r io.Reader, name string) (*measurements, error) {
	m := &measurements{figures: make(map[figure][]float64), sizes: make(map[string][]int), config: make(map[string]string)}
	passes := make(map[string]bool)
	reader := benchfmt.NewReader(r, name)
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, rec
		case *benchfmt.Result:
			for _, c := range rec.Config {
				m.config[c.Key] = string(c.Value)
			}
			passes[rec.GetConfig("pass")] = true
			f, err := named(rec.Name)
			if err != nil {
				return nil, err
			}
			for _, v := range rec.Values {
				f.unit = v.Unit
				m.figures[f] = append(m.figures[f], v.Value)
			}
			if sizes := m.sizes[f.bench]; !slices.Contains(sizes, f.size) {
				m.sizes[f.bench] = append(sizes, f.size)
			}
		}
	}
	for _, sizes := range m.sizes {
		slices.Sort(sizes)
	}
	m.passes = len(passes)
	return m, reader.Err()
}

// named takes a name apart: WakeOnEtcd/watchers=10/by=clientv3-2.
func named(name benchfmt.Name) (f figure, err error) {
	base, parts := name.Parts()
	f.bench = string(base)
	for _, part := range parts {
		key, val, ok := strings.Cut(strings.TrimPrefix(string(part), "/"), "=")
		switch n, err := strconv.Atoi(val); {
		case !ok: // the number of processors
		case key == "by":
			f.by = val
		case err == nil:
			f.size = n
		default:
			f.bench += string(part)
		}
	}
	if f.by == "" {
		return f, fmt.Errorf("the benchmark %q does not say by whom", name)
	}
	return f, nil
}

// spread is the median of several figures, and the least and the greatest of them.
type spread struct{ least, median, most float64 }

func spreadOf(values []float64) (s spread, ok bool) {
	if len(values) == 0 {
		return s, false
	}
	values = slices.Sorted(slices.Values(values))
	mid := len(values) / 2
	s = spread{values[0], values[mid], values[len(values)-1]}
	if len(values)%2 == 0 {
		s.median = (values[mid-1] + values[mid]) / 2
	}
	return s, true
}

func (m *measurements) of(f figure) (spread, bool) { return spreadOf(m.figures[f]) }

// combined is what combine makes of two figures, pass by pass.
func (m *measurements) combined(a, b figure, combine func(a, b float64) float64) (spread, bool) {
	as, bs := m.figures[a], m.figures[b]
	var values []float64
	for i := range min(len(as), len(bs)) {
		values = append(values, combine(as[i], bs[i]))
	}
	return spreadOf(values)
}

func ratio(a, b float64) float64      { return a / b }
func difference(a, b float64) float64 { return a - b }
