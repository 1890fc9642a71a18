package program

import "slices"

// Shorten returns what is left of p, which fails, when steps are left out for as long as it still does. It takes few
// tries, for where each takes long; rapid takes many, and makes what is left of the steps simpler, too.
func Shorten(p Program, fails func(Program) bool) Program {
	for size := len(p); size > 0; size /= 2 {
		for i := 0; i < len(p); {
			shorter := slices.Delete(slices.Clone(p), i, min(i+size, len(p)))
			if fails(shorter) {
				p = shorter
			} else {
				i += size
			}
		}
	}
	return p
}
