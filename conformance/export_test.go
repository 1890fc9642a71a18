package conformance

import "context"

// For tests of the suite, which put wrong Values in the place of those of package value.
type (
	Live     = live
	Reader   = reader
	NewValue = newValue
)

// NewSoundValue is what the suite uses.
var NewSoundValue NewValue = newSoundValue

// CheckWith is Check with Values that newValue makes.
func CheckWith(ctx context.Context, b Backend, newValue NewValue, only ...string) error {
	s, err := newSuite(ctx, b)
	if err != nil {
		return err
	}
	if newValue != nil {
		s.newValue = newValue
	}
	return s.check(only)
}

// ChecksOf returns the checks of a guarantee.
func ChecksOf(guarantee string) (paths []string) {
	for _, c := range allChecks() {
		if c.guarantee == guarantee {
			paths = append(paths, c.path())
		}
	}
	return paths
}

// Guarantees returns the numbers of all.
func Guarantees() (ids []string) {
	for _, g := range guarantees {
		ids = append(ids, g.id)
	}
	return ids
}
