package program

import "slices"

// Shorten makes p smaller. p fails. Shorten leaves out steps as long as the rest still fails, and returns the rest. It needs few runs,
// for programs that take long. rapid needs many runs, and makes the steps simpler too.
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
