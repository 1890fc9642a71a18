package program_test

import (
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

func FuzzMemoryAnswersAsTheModel(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(memoryAnswersAsTheModel))
}
