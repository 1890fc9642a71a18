package suite

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"runtime/pprof"
	"strings"
)

// goroutineLabel is on every goroutine that a check starts, directly or through other goroutines.
const goroutineLabel = "conformance check"

// ownGoroutines returns a context with a label for the goroutines of one check.
func ownGoroutines(ctx context.Context) context.Context {
	return pprof.WithLabels(ctx, pprof.Labels(goroutineLabel, rand.Text()))
}

// Goroutines counts the goroutines of the process, and returns their stacks. It leaves out those of other checks, which may run
// concurrently. It includes those that a store has started before any check.
func (e *Env) Goroutines() (n int, stacks string) {
	own, _ := pprof.Label(e.Context(), goroutineLabel)
	var all bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&all, 1)
	var kept strings.Builder
	for _, stack := range strings.Split(all.String(), "\n\n") {
		if strings.Contains(stack, goroutineLabel) && !strings.Contains(stack, own) {
			continue
		}
		_, counted, _ := strings.Cut("\n"+stack, "profile: total ") // the first line of all
		if counted != "" {
			_, stack, _ = strings.Cut(counted, "\n")
		}
		var alike int
		fmt.Sscanf(stack, "%d @", &alike)
		n += alike
		kept.WriteString("\n" + stack)
	}
	return n, kept.String()
}
