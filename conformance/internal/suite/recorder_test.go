package suite

import (
	"strings"
	"testing"
	"time"
)

// A report keeps each fault among the steps, even an early one: without it, the failure cannot be understood.
func TestTheStepsOfAFailureIncludeTheFaults(t *testing.T) {
	report := record(t.Context(), "check", time.Second, func(r *recorder) {
		for i := range 1000 {
			r.Logf("step %d", i)
			if i%400 == 0 {
				r.Mark("fault %d", i)
			}
		}
		r.Errorf("this is what it led to")
	}).report()
	for part, want := range map[string]bool{
		"fault 0": true, "fault 400": true, "fault 800": true, "step 999": true, "step 980": true, "(975 steps are left out": true, "step 400": false,
	} {
		if strings.Contains(report, part) != want {
			t.Errorf("that the report has %q is %v, want %v:\n%s", part, !want, want, report)
		}
	}
}
