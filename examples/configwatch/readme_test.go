package main

import (
	"testing"

	"github.com/watchkv/watchkv/internal/pagetest"
)

func TestReadmeQuotesThisCode(t *testing.T) {
	pagetest.ShowsCode(t, "../../README.md", ".", "../manykeys")
}
