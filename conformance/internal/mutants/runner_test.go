package mutants

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/watchkv/watchkv/conformance"
)

// A suite that finds fault with a sound store is of no use to anybody.
func TestACorrectStoreKeepsAllGuarantees(t *testing.T) {
	if err := conformance.Check(t.Context(), withPatience(backendOf(breakage{}))); err != nil {
		t.Error(err)
	}
}

func withPatience(b conformance.Backend) conformance.Backend {
	b.Patience = 30 * time.Second
	return b
}

// Each mutant is caught by a check of the guarantee that it breaks. go test -v shows which, in a table. With -short it is
// one of each guarantee.
func TestEveryMutantIsCaught(t *testing.T) {
	type mutantOf struct {
		mutation
		caught string // by which check
	}
	var all []*mutantOf
	tried := make(map[string]bool)
	for _, m := range mutants {
		if !testing.Short() || !tried[m.guarantee] {
			tried[m.guarantee] = true
			all = append(all, &mutantOf{mutation: m})
		}
	}
	// They wait more than they work, so that more can run at once than there are processors. Not so many that one
	// passes for silent that is only slow.
	const atOnce = 6
	try := func(m *mutantOf) {
		for _, path := range checksOf(m.guarantee) {
			if broken, _ := checkWith(t.Context(), backendOf(m.broken), m.mutation, path); broken != nil {
				m.caught = path
				return
			}
		}
	}
	next := make(chan *mutantOf)
	var running sync.WaitGroup
	for range atOnce { // not a goroutine for each mutant: as these end, they would hide the goroutines that a mutant leaves
		running.Go(func() {
			for m := range next {
				try(m)
			}
		})
	}
	for _, m := range all {
		next <- m
	}
	close(next)
	running.Wait()
	var table strings.Builder
	columns := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	for _, m := range all {
		fmt.Fprintf(columns, "%s\t%s\t%s\n", m.guarantee, m.name, m.caught)
		t.Run(m.guarantee+"/"+m.name, func(t *testing.T) {
			if m.caught == "" {
				t.Errorf("a store, Value or Map that %s passes the checks of %s", strings.ReplaceAll(m.name, "-", " "), m.guarantee)
			}
		})
	}
	columns.Flush()
	t.Logf("%d mutants: the guarantee that each breaks, what it does, and the check that caught it:\n%s", len(all), &table)
}

// A store whose watches never run out of batches must not keep the suite from its report.
func TestAWatchThatRepeatsItselfForeverEndsEachCheck(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var running sync.WaitGroup
	for _, g := range guarantees() {
		if !strings.HasPrefix(g, "W") {
			continue
		}
		running.Go(func() {
			for _, path := range checksOf(g) {
				broken, err := checkWith(ctx, withPatience(backendOf(repeating)), mutation{}, path)
				if err != nil || strings.Contains(strings.Join(broken, "\n"), "hangs") {
					t.Errorf("%s, of a store whose watches deliver their first events for ever: %q, %v", path, broken, err)
				}
			}
		})
	}
	running.Wait()
}

// Every guarantee has a mutant: without one, nothing shows that its checks can fail.
func TestEveryGuaranteeHasAMutant(t *testing.T) {
	has := make(map[string]bool)
	for _, m := range mutants {
		has[m.guarantee] = true
	}
	for _, g := range guarantees() {
		if !has[g] {
			t.Errorf("no mutant breaks %s", g)
		}
	}
}

// The guide says how many ways to be wrong the suite was tested with.
func TestTheGuideStatesTheNumberOfMutants(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/writing-a-backend.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("[%d stores, Values and Maps]", len(mutants)); !strings.Contains(string(guide), want) {
		t.Errorf("docs/writing-a-backend.md does not have %q", want)
	}
}
