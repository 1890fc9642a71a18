package main

import (
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart is a plot of how a figure grows with a size.
type chart struct {
	file  string
	title string
	x, y  string
	lines []line
}

// line is what one of those who are compared did.
type line struct {
	name, bench, by, unit string
	each                  bool // the figure is divided by the size
}

var charts = []chart{
	{file: "wake-etcd", title: "An update on etcd, until all watchers of the key have it", x: "watchers", y: "time", lines: []line{
		{name: "watchkv", bench: "WakeOnEtcd", by: "watchkv", unit: "sec/op"},
		{name: "a clientv3 watch each", bench: "WakeOnEtcd", by: "clientv3", unit: "sec/op"},
	}},
	{file: "wake-memory", title: "An update in memory, until all watchers of the key have it", x: "watchers", y: "time", lines: []line{
		{name: "watchkv", bench: "WakeInMemory", by: "watchkv", unit: "sec/op"},
		{name: "closing one channel", bench: "WakeInMemory", by: "channel", unit: "sec/op"},
		{name: "statedb", bench: "WakeInMemory", by: "statedb", unit: "sec/op"},
		{name: "memdb", bench: "WakeInMemory", by: "memdb", unit: "sec/op"},
	}},
	{file: "cost-of-one", title: "What one watcher's update costs, as there is more of other things", x: "of them", y: "time", lines: []line{
		{name: "watchers of the same key", bench: "WakeInMemory", by: "watchkv", unit: "sec/op", each: true},
		{name: "watchers of other keys", bench: "WakeOneOfMany", by: "watchkv", unit: "sec/op"},
		{name: "Values of other keys", bench: "WakeOneOfManyValues", by: "watchkv", unit: "sec/op"},
		{name: "updates before this one", bench: "WakeAfterManyUpdates", by: "watchkv", unit: "sec/op"},
	}},
	{file: "put-memory", title: "A put in memory, among keys", x: "keys", y: "time", lines: []line{
		{name: "watchkv", bench: "AmongKeys/do=put", by: "watchkv", unit: "sec/op"},
		{name: "statedb", bench: "AmongKeys/do=put", by: "statedb", unit: "sec/op"},
		{name: "memdb", bench: "AmongKeys/do=put", by: "memdb", unit: "sec/op"},
	}},
}

// colours are distinct for the colour-blind, and in print.
var colours = []color.Color{
	color.RGBA{0x00, 0x5f, 0xb8, 0xff},
	color.RGBA{0xd5, 0x5e, 0x00, 0xff},
	color.RGBA{0x00, 0x8f, 0x6b, 0xff},
	color.RGBA{0x88, 0x3a, 0x8c, 0xff},
}

var shapes = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.TriangleGlyph{}, draw.PyramidGlyph{}}

// drawPlots writes a file for each chart whose figures were measured.
func drawPlots(m *measurements, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range charts {
		p, ok, err := c.plot(m)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := save(p, filepath.Join(dir, c.file+".svg")); err != nil {
			return err
		}
	}
	return nil
}

// plot draws c. ok is false if nothing of it was measured.
func (c chart) plot(m *measurements) (p *plot.Plot, ok bool, err error) {
	p = plot.New()
	p.BackgroundColor = color.White
	p.Title.Text = c.title
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text, p.Y.Label.Text = c.x, c.y
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker = decades(func(v float64) string { return thousands(int(math.Round(v))) })
	p.Y.Tick.Marker = decades(func(v float64) string {
		number, unit, _ := strings.Cut(seconds(v*(1+1e-9)), " ") // a power of ten is seldom exact
		whole, _, _ := strings.Cut(number, ".")
		return whole + " " + unit
	})
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding = vg.Points(2)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{0xe0}, color.Gray{0xe0}
	p.Add(grid)
	for i, l := range c.lines {
		points := l.points(m)
		if len(points) == 0 {
			continue
		}
		ok = true
		drawn, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, false, err
		}
		drawn.Color, marks.Color = colours[i], colours[i]
		drawn.Width, marks.Radius = vg.Points(1.5), vg.Points(3)
		marks.Shape = shapes[i]
		p.Add(drawn, marks)
		p.Legend.Add(l.name, drawn, marks)
	}
	// Whole decades, so that the axes begin and end at a label; and room for the legend.
	p.X.Min, p.X.Max = decade(p.X.Min, math.Floor), decade(p.X.Max, math.Ceil)
	p.Y.Min, p.Y.Max = decade(p.Y.Min, math.Floor), decade(p.Y.Max, math.Ceil)
	return p, ok, nil
}

func (l line) points(m *measurements) (points plotter.XYs) {
	for _, size := range m.sizes[l.bench] {
		s, ok := m.of(figure{l.bench, size, l.by, l.unit})
		if !ok || size == 0 {
			continue
		}
		y := s.median
		if l.each {
			y /= float64(size)
		}
		points = append(points, plotter.XY{X: float64(size), Y: y})
	}
	return points
}

// decade rounds v down or up to a power of ten.
func decade(v float64, round func(float64) float64) float64 {
	return math.Pow(10, round(math.Log10(v)))
}

// decades marks the powers of ten.
type decades func(v float64) string

func (label decades) Ticks(low, high float64) (ticks []plot.Tick) {
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		v := math.Pow(10, e)
		ticks = append(ticks, plot.Tick{Value: v, Label: label(v)})
	}
	return ticks
}

// save writes p as an SVG that any viewer draws with its own font.
func save(p *plot.Plot, file string) error {
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	for _, style := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		size := style.Size
		*style = sans
		style.Size = size
	}
	const width, height = 18 * vg.Centimeter, 11 * vg.Centimeter
	canvas := vgsvg.New(width, height)
	p.Draw(draw.Crop(draw.New(canvas), vg.Points(4), -vg.Points(12), vg.Points(4), -vg.Points(6)))
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := canvas.WriteTo(out); err != nil {
		return err
	}
	return out.Close()
}
