package bench

import (
	"slices"
	"testing"
	"time"
)

// contender does the same as others do, in another way.
type contender struct {
	by    string
	once  func() // what is measured
	ops   int    // how many operations that is; zero for one
	after func() // what is to be done after each, and not measured; may be nil
}

// inTurns measures contenders in turns, each once before any does it again: what else the machine does, it then does to
// all of them. What is reported as ns/op is the median of the turns. What is allocated is measured apart, one after the other.
func inTurns(b *testing.B, name string, prepare func(b *testing.B) []contender) {
	b.Run(name, func(b *testing.B) {
		contenders := prepare(b)
		took := make([][]time.Duration, len(contenders))
		turn := func() {
			for i, c := range contenders {
				took[i] = append(took[i], c.time())
			}
		}
		for b.Loop() {
			for range 4 { // so that there are some even of what takes long
				turn()
			}
		}
		for i, c := range contenders {
			b.Run("by="+c.by, func(b *testing.B) {
				c.alone(b)
				c.report(b, took[i])
			})
		}
	})
}

// time does it once and returns how long that took.
func (c *contender) time() time.Duration {
	began := time.Now()
	c.once()
	took := time.Since(began)
	if c.after != nil {
		c.after()
	}
	return took
}

// alone does it as often as b says, and returns how long each time took.
func (c *contender) alone(b *testing.B) (took []time.Duration) {
	b.ReportAllocs()
	for b.Loop() {
		took = append(took, c.time())
	}
	return took
}

func (c *contender) report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	median := took[len(took)/2]
	b.ReportMetric(float64(median.Nanoseconds())/float64(max(c.ops, 1)), "ns/op")
}
