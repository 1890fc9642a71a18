package program_test

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/property_test/internal/program"
)

func newModel() program.Store { return program.NewModel() }

func memoryAnswersAsTheModel(t *rapid.T) {
	p := program.Any().Draw(t, "program")
	want := program.RunInBubble(t, newModel, p)
	got := program.RunInBubble(t, program.NewInMemory, p)
	if d := program.Difference(p, got, want); d != "" {
		t.Fatal(d)
	}
}

func TestMemoryAnswersAsTheModel(t *testing.T) {
	leaktest.Check(t)
	rapid.Check(t, memoryAnswersAsTheModel)
}

// With -fuzzminimizetime 10x, the fuzzer spends little time on making inputs smaller.
func FuzzMemoryAnswersAsTheModel(f *testing.F) {
	// rapid draws from these bytes. A program needs some thousands of them.
	for seed := range byte(4) {
		corpus := make([]byte, 16<<10)
		rand.NewChaCha8([32]byte{seed}).Read(corpus)
		f.Add(corpus)
	}
	f.Fuzz(rapid.MakeFuzz(memoryAnswersAsTheModel))
}
