package judge

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// Program is a sequence of writes and faults, with the watchers that exist from the beginning.
type Program struct {
	Watchers []string // names of modes
	Steps    []Step
	Seed     uint64 // decides when goroutines yield and rest
}

// Step is one step of a program: the name of an [Action] and its argument.
type Step struct {
	Action string
	N      int // a number, a duration or a choice; the action decides
}

// GoString is String, because rapid shows what it drew with GoString.
func (p Program) GoString() string { return p.String() }

// String lists the watchers and the steps in a readable form.
func (p Program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "with seed %d, watched by %s:", p.Seed, strings.Join(p.Watchers, ", "))
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "\n\t%s %d", s.Action, s.N)
	}
	return b.String()
}

// Programs generates programs of the given actions, for a key. An action that is named twice is chosen twice as often.
func Programs(actions []string) *rapid.Generator[Program] { return programs(actions, Modes()) }

// RangePrograms generates programs for a range. They also commit several keys in one revision.
func RangePrograms(actions []string) *rapid.Generator[Program] {
	return programs(slices.Concat(actions, []string{"commit", "commit", "commit"}), RangeModes())
}

func programs(actions []string, modes []Mode) *rapid.Generator[Program] {
	step := rapid.Custom(func(t *rapid.T) Step {
		return Step{Action: rapid.SampledFrom(actions).Draw(t, "action"), N: rapid.IntRange(0, 99).Draw(t, "n")}
	})
	var names []string
	for _, m := range modes {
		names = append(names, m.Name)
	}
	watchers := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 5, rapid.ID)
	// rapid's slices are mostly short and shrink well. So a long program is made of several slices.
	parts := rapid.SliceOfN(rapid.SliceOf(step), 8, 8)
	return rapid.Custom(func(t *rapid.T) Program {
		return Program{
			Watchers: watchers.Draw(t, "watchers"),
			Steps:    slices.Concat(parts.Draw(t, "steps")...),
			Seed:     rapid.Uint64().Draw(t, "seed"),
		}
	})
}

// modeNamed returns the mode with a name. It panics if there is none.
func modeNamed(modes []Mode, name string) Mode {
	return modes[slices.IndexFunc(modes, func(m Mode) bool { return m.Name == name })]
}
