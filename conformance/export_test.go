package conformance

import (
	"context"
	"time"
)

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

// Summary is what Run logs at its end.
func Summary(ctx context.Context, b Backend) string {
	s, err := newSuite(ctx, b)
	if err != nil {
		return err.Error()
	}
	defer s.close()
	var outcomes []outcome
	for _, c := range allChecks() {
		outcomes = append(outcomes, s.run(c, c.path()))
	}
	return summarize(outcomes)
}

// Report is what a failure shows of a check that does this.
func Report(ctx context.Context, do func(t T, mark func(string, ...any))) string {
	return record(ctx, "check", time.Second, func(r *recorder) { do(r, r.mark) }).report()
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
