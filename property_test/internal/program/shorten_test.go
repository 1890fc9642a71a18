package program_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/property_test/internal/program"
)

func TestShortenLeavesTheStepsThatAreNeeded(t *testing.T) {
	leaktest.Check(t)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 100).Draw(t, "steps")
		needed := rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, 4, rapid.ID).Draw(t, "needed")
		slices.Sort(needed)
		var p, want program.Program
		for i := range n {
			p = append(p, program.Put(fmt.Sprint(i), ""))
			if slices.Contains(needed, i) {
				want = append(want, p[i])
			}
		}
		tries := 0
		got := program.Shorten(p, func(p program.Program) bool {
			tries++
			text := p.GoString()
			return !slices.ContainsFunc(want, func(s program.Step) bool { return !strings.Contains(text, s.GoString()) })
		})
		if got.GoString() != want.GoString() {
			t.Errorf("%#v is left, want %#v", got, want)
		}
		if most := 2*n + 10; tries > most {
			t.Errorf("Shorten took %d tries for %d steps, want at most %d", tries, n, most)
		}
	})
}
