package main

import (
	"strings"
	"testing"
)

func TestTheOutputOfTheProgram(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	const want = `0 endpoints
/svc/a is at 10.0.0.1
/svc/b is at 10.0.0.2
2 endpoints
/svc/a is gone
/svc/c is at 10.0.0.3
2 endpoints
/svc/b is bad
2 endpoints
{User:app Password:secret}
10 a second
`
	if got := out.String(); got != want {
		t.Errorf("the program printed\n%s\nwant\n%s", got, want)
	}
}
