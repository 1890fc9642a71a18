package judge

import (
	"fmt"
	"strconv"
)

// Default is what an absent key reads as for a Value that has a default.
const Default = -1

// wantedEvery is which values pass the filter: the multiples of it.
const wantedEvery = 3

// Wanted is the filter of those watchers that have one.
func Wanted(n int) bool { return n%wantedEvery == 0 }

func isWanted(value string) bool {
	n, err := strconv.Atoi(value)
	return err == nil && Wanted(n)
}

// bad returns the n-th value if that is to be a bad one: the decoder fails, or panics.
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
