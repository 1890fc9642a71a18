package mutants

import (
	"context"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/conformance/internal/stores"
	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/conformance/internal/values"
)

// allChecks are those of the suite, with Values that newValue makes, sound ones if it is nil, and with Maps that maps makes.
func allChecks(newValue values.NewValue, maps values.Maps) []suite.Check {
	if newValue == nil {
		newValue = values.Sound
	}
	return append(stores.Checks(), values.Checks(newValue, maps)...)
}

// checkWith is conformance.Check with Values and Maps that a mutation makes. It returns what each broken check has seen.
func checkWith(ctx context.Context, b conformance.Backend, m mutation, only ...string) (broken []string, err error) {
	s, err := suite.New(ctx, suite.Backend(b), allChecks(m.value, m.maps))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	outcomes, err := s.Check(only...)
	for _, o := range outcomes {
		if o.Broken != "" {
			broken = append(broken, o.Broken)
		}
	}
	return broken, err
}

// summary is what conformance.Run logs at its end, or would if it ran only the given checks.
func summary(ctx context.Context, b conformance.Backend, only ...string) string {
	s, err := suite.New(ctx, suite.Backend(b), allChecks(nil, values.Maps{}))
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	outcomes, err := s.Check(only...)
	if err != nil {
		return err.Error()
	}
	return s.Summarize(outcomes)
}

// checksOf returns the paths of the checks of a guarantee.
func checksOf(guarantee string) (paths []string) {
	for _, c := range allChecks(nil, values.Maps{}) {
		if c.Guarantee == guarantee {
			paths = append(paths, c.Path())
		}
	}
	return paths
}

// guarantees returns the numbers of all.
func guarantees() (ids []string) {
	for _, g := range suite.Guarantees {
		ids = append(ids, g.ID)
	}
	return ids
}
