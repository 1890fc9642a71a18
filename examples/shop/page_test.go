package shop

import (
	"testing"

	"github.com/watchkv/watchkv/internal/pagetest"
)

func TestThePageQuotesThisCode(t *testing.T) {
	pagetest.ShowsCode(t, "../../docs/testing-your-app.md", ".", "../leaderelection")
}
