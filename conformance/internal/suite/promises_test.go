package suite

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/watchkv/watchkv/internal/promises"
)

// A failure quotes what users of packages kv and value read there.
func TestGuaranteesQuoteTheDocumentation(t *testing.T) {
	documented := promises.All(t)
	for _, g := range Guarantees {
		want, ok := documented[g.ID]
		if !ok {
			continue // of an interface or of all errors, and documented there
		}
		delete(documented, g.ID)
		if diff := cmp.Diff(want, g.words); diff != "" {
			t.Errorf("%s is documented in other words (-documented +suite):\n%s", g.ID, diff)
		}
	}
	for id := range documented {
		t.Errorf("%s is documented, and the suite does not know it", id)
	}
}
