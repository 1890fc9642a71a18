package property_test

import (
	"cmp"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/property_test/internal/program"
)

// differentialMembers is how many etcd members run programs concurrently. A compaction affects a whole cluster, so a cluster runs one
// program at a time. A program mostly waits, because etcd sends missing changes to watches of the past only ten times a second.
const differentialMembers = 8

// Each member gets as many programs as -rapid.checks says.
func TestMemoryEqualsEtcd(t *testing.T) {
	leaktest.Check(t)
	var all sync.WaitGroup
	defer all.Wait()
	for i := range differentialMembers {
		all.Go(func() {
			t.Run(fmt.Sprint("member ", i), func(t *testing.T) {
				member := startDifferentialEtcd(t)
				rapid.Check(t, member.answersAsMemory)
				t.Logf("compared %d programs, %d of them with at least 50 steps, %d steps in all, %d lines of answers",
					member.programs, member.long, member.steps, member.lines)
			})
		})
	}
}

func (e *differentialEtcd) answersAsMemory(t *rapid.T) {
	p := program.Any().Draw(t, "program")
	d := e.difference(t, p)
	if d == "" {
		return
	}
	p = program.Shorten(p, func(p program.Program) bool { return e.difference(t, p) != "" })
	// The smaller program runs once more, so that the test fails with its difference.
	t.Fatal(cmp.Or(e.difference(t, p), "not each time:\n"+d))
}

func (e *differentialEtcd) difference(t *rapid.T, p program.Program) string {
	want, err := e.run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return program.Difference(p, program.RunInBubble(t, program.NewInMemory, p), want)
}
