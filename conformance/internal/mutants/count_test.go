package mutants

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The guide says how many ways to be wrong the suite was tested with.
func TestTheGuideCountsTheMutants(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/writing-a-backend.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("[%d stores, Values and Maps]", len(mutants)); !strings.Contains(string(guide), want) {
		t.Errorf("docs/writing-a-backend.md does not have %q", want)
	}
}
