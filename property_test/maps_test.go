package property_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/judge"
	"github.com/watchkv/watchkv/internal/leaktest"
)

// This tests M2 to M8, V3, V5, V11 and V12 of Maps and bundles in the way in which [TestValuesUnderFaultsInABubble] tests Values. Under every fault,
// a View is what the range held at its revision, and the View before with the changes is this View. To run for long:
//
//	go test ./property_test -run TestMapsUnderFaultsInABubble -v -timeout 2h -rapid.checks=10000
func TestMapsUnderFaultsInABubble(t *testing.T) {
	leaktest.Check(t)
	var ofThemes []*rapid.Generator[judge.Program]
	for _, theme := range themes {
		ofThemes = append(ofThemes, judge.RangePrograms(append(theme.actions, usual...)))
	}
	playAll(t, rapid.OneOf(ofThemes...), judge.NewRangeHarness, 1)
}
