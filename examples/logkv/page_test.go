package logkv

import (
	"testing"

	"github.com/watchkv/watchkv/internal/pagetest"
)

func TestThePageQuotesThisCode(t *testing.T) {
	pagetest.ShowsCode(t, "../../docs/writing-a-backend.md", ".")
}
