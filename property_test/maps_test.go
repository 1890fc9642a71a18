package property_test

import (
	"testing"

	"github.com/watchkv/watchkv/internal/follow"
	"github.com/watchkv/watchkv/internal/leaktest"
)

// M2 to M8, V3, V5, V11 and V12 of Maps and of bundles, as [TestValuesUnderFaultsInABubble] tests Values: a View is what the range held at
// its revision, and the View before with the changes is this View, under every fault. For 10,500 programs:
//
//	go test ./property_test -run TestMapsUnderFaultsInABubble -v -timeout 2h -rapid.checks=1500
func TestMapsUnderFaultsInABubble(t *testing.T) {
	leaktest.Check(t)
	for _, theme := range themes {
		t.Run(theme.name, func(t *testing.T) {
			t.Parallel()
			playAll(t, follow.RangePrograms(append(theme.actions, usual...)), follow.NewRangeHarness, 1)
		})
	}
}
