package program

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/kv"
)

// pieces is how many pieces a program has. A piece has five steps on average.
const pieces = 16

// Any makes programs of about eighty steps. A program that fails is made smaller by leaving out steps: each step can be left out without
// a change to the others.
func Any() *rapid.Generator[Program] {
	piece := rapid.SliceOf(rapid.Custom(anyStep))
	return rapid.Custom(func(t *rapid.T) Program {
		var p Program
		for range pieces {
			p = append(p, piece.Draw(t, "piece")...)
		}
		return p
	})
}

// kinds has one entry for each of the 32 equally likely kinds of steps.
var kinds = slices.Concat(
	repeated(8, func(t *rapid.T) Step { return anyPut(t) }),
	repeated(4, func(t *rapid.T) Step { return anyDelete(t) }),
	repeated(5, anyCommit),
	repeated(6, func(t *rapid.T) Step { return Get(anyRange(t)) }),
	repeated(3, func(t *rapid.T) Step { return Watch(anyRange(t), anyPast(t)) }),
	repeated(2, anyResume),
	repeated(2, func(t *rapid.T) Step { return Compact(anyPast(t)) }),
	repeated(2, func(*rapid.T) Step { return Progress() }),
)

func repeated(n int, kind func(*rapid.T) Step) []func(*rapid.T) Step {
	return slices.Repeat([]func(*rapid.T) Step{kind}, n)
}

func anyStep(t *rapid.T) Step { return kinds[anyOf(t, len(kinds))](t) }

// anyOf returns a number below n. All have the same probability. n is a power of two. rapid's own choices prefer the first few.
func anyOf(t *rapid.T, n int) int {
	i := 0
	for ; n > 1; n /= 2 {
		i *= 2
		if rapid.Bool().Draw(t, "bit") {
			i++
		}
	}
	return i
}

// There are few keys, so that steps meet at the same key. They are around the edges of ranges.
var (
	keys   = rapid.SampledFrom([]string{"a", "b", "a\x00", "aa", "a\xff", "\xff", "\xff\xff", "\x00"})
	ends   = rapid.SampledFrom([]string{"b", "a", "a\x00", "aa", "a\xff", "\xff", "\xff\xff", "\xff\xff\xff"})
	values = rapid.SampledFrom([]string{"x", "y", "", "\x00\xff"})
)

// anyKey returns a key, and sometimes the empty key.
func anyKey(t *rapid.T) string {
	if anyOf(t, 64) == 63 {
		return ""
	}
	return keys.Draw(t, "key")
}

func anyPut(t *rapid.T) Write {
	key := anyKey(t)
	return Put(key, values.Draw(t, "value"), anyConditions(t, key)...)
}

func anyDelete(t *rapid.T) Write {
	key := anyKey(t)
	return Delete(key, anyConditions(t, key)...)
}

func anyCommit(t *rapid.T) Step {
	writes := make([]Write, anyOf(t, 4))
	named := make(map[string]bool)
	for i := range writes {
		writes[i] = anyPut(t)
		if anyOf(t, 2) == 1 {
			writes[i] = anyDelete(t)
		}
	}
	if anyOf(t, 16) == 15 {
		return Commit(writes...)
	}
	// Most commits name each key once. No store accepts the others.
	return Commit(slices.DeleteFunc(writes, func(w Write) bool {
		twice := named[w.key]
		named[w.key] = true
		return twice
	})...)
}

// anyConditions mostly returns no condition. Otherwise it returns one that is likely to hold, one that is unlikely to hold, or two.
func anyConditions(t *rapid.T, key string) []Revision {
	switch anyOf(t, 16) {
	case 9, 10:
		return []Revision{LastOf(key, 0)}
	case 11, 12:
		return []Revision{Exactly(0)}
	case 13:
		return []Revision{anyPast(t)}
	case 14:
		return []Revision{LastOf(key, -1)}
	case 15:
		return []Revision{LastOf(key, 0), anyPast(t)}
	}
	return nil
}

// anyPast returns a revision, most of them in the past of the program.
func anyPast(t *rapid.T) Revision {
	switch anyOf(t, 16) {
	case 0, 1, 2:
		return Now(0)
	case 3, 4:
		// The revision is at most four steps back. A program that fails because of a much older revision needs all steps since then, so it could not be made
		// smaller.
		return Now(-kv.Revision(rapid.IntRange(1, 4).Draw(t, "back")))
	case 5, 6:
		return Now(kv.Revision(rapid.IntRange(1, 5).Draw(t, "ahead")))
	case 7, 8, 9:
		return Start(kv.Revision(rapid.IntRange(-2, 20).Draw(t, "from the start")))
	case 10, 11, 12:
		return LastOf(keys.Draw(t, "key"), 0)
	case 13:
		return LastOf(keys.Draw(t, "key"), -1)
	case 14:
		return LastOf(keys.Draw(t, "key"), 1)
	}
	return Exactly(kv.Revision(rapid.IntRange(-1, 0).Draw(t, "number")))
}

// anyRange returns a range, and sometimes an invalid one.
func anyRange(t *rapid.T) kv.Range {
	switch anyOf(t, 16) {
	case 0, 1, 2, 3:
		return kv.All()
	case 4, 5, 6, 7:
		return kv.Key(anyKey(t))
	case 8, 9, 10:
		return kv.Prefix(keys.Draw(t, "prefix"))
	case 11:
		return kv.Interval("", ends.Draw(t, "to"))
	case 15:
		if anyOf(t, 4) == 3 {
			return kv.Range{}
		}
	}
	from, to := keys.Draw(t, "from"), ends.Draw(t, "to")
	if from > to && anyOf(t, 4) != 3 {
		from, to = to, from
	}
	return kv.Interval(from, to)
}

func anyResume(t *rapid.T) Step {
	return Resume(rapid.IntRange(0, 3).Draw(t, "watch"), rapid.IntRange(0, 3).Draw(t, "back"))
}
