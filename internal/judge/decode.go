package judge

import (
	"fmt"
	"strconv"
)

// Default is the default of the Values that have one.
const Default = -1

// wantedEvery is the number whose multiples pass the filter.
const wantedEvery = 3

// Wanted is the filter of the watchers that have one.
func Wanted(n int) bool { return n%wantedEvery == 0 }

func isWanted(value string) bool {
	n, err := strconv.Atoi(value)
	return err == nil && Wanted(n)
}

// bad returns a bad value, the n-th value of a writer. The decoder fails for it, or panics.
func bad(n int) string {
	if n%2 == 0 {
		return fmt.Sprintf("bad %d", n)
	}
	return fmt.Sprintf("%s%d", panics, n)
}

const panics = "panic "

// badValue is the decoder's error: the value itself.
type badValue string

func (b badValue) Error() string { return fmt.Sprintf("the value %q is bad", string(b)) }

// Decode decodes the values that a [Writer] writes.
func Decode(b []byte) (int, error) {
	n, err := strconv.Atoi(string(b))
	switch {
	case err == nil:
		return n, nil
	case len(b) > len(panics) && string(b[:len(panics)]) == panics:
		panic(badValue(b))
	}
	return 0, badValue(b)
}
