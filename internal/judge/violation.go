package judge

import "fmt"

// promises are the guarantees of package value that the judges check, in short.
var promises = map[string]string{
	"V3":  "newest wins: a watcher returns what the key is, and in the end the newest",
	"V4":  "every update: each once, in order, or one GapError where the store's history is gone",
	"V5":  "never backwards: the revision behind successive Gets rises strictly",
	"V6":  "a deletion is returned once",
	"V7":  "bad values are returned once, for the update that is bad",
	"V8":  "cancelling a Get loses nothing",
	"V11": "outages are no errors: no Get returns one",
	"V13": "nothing unchanged is returned again",
	"M2":  "one revision: a View is exactly what the range held at its revision, and so is a bundle",
	"M3":  "changes add up: the View before, with the changes made, is this View",
	"M4":  "removals are reported, and come first",
	"M5":  "a bad value harms its key alone, which keeps its last good value",
	"M6":  "unchanged is no change, and is not decoded again",
	"M8":  "every revision: each that changed the range is one View, or there is one GapError where the store's history is gone",
}

// Violation is a guarantee that was broken.
type Violation struct {
	Guarantee string // its number: "V4"
	Watcher   string // the watcher's mode, by name
	Happened  string
	Returned  string // what the watcher returned; the last return broke the guarantee
}

func (v *Violation) Error() string {
	return fmt.Sprintf("%s (%s) was broken: %s\n\tthe watcher (%s) returned, in order: %s",
		v.Guarantee, promises[v.Guarantee], v.Happened, v.Watcher, v.Returned)
}

func broken(guarantee, format string, args ...any) *Violation {
	return &Violation{Guarantee: guarantee, Happened: fmt.Sprintf(format, args...)}
}
