package mutants

import (
	"slices"

	"github.com/watchkv/watchkv/conformance/internal/values"
)

// mutation is one mutant: a way to break one guarantee. It is a store, or a Value or a Map where no store can break the guarantee.
type mutation struct {
	guarantee, name string
	broken          breakage
	value           values.NewValue // sound if nil
	maps            values.Maps     // sound where nil
}

var mutants = slices.Concat(readMutants, watchMutants, resumeMutants, misleadingMutants, valueMutants, mapMutants,
	databaseReadMutants, databaseWriteMutants, databaseEventMutants, databaseEndMutants, optionalMutants, summaryMutants, elsewhereMutants, raceMutants, heldMutants, cornerMutants,
	clientReadMutants, clientEntryMutants, clientWatchMutants, clientCallMutants)
