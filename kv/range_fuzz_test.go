package kv_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/watchkv/watchkv/kv"
)

// FuzzRangesHoldWhatTheirNamesSay compares each kind of range with its definition in one line.
func FuzzRangesHoldWhatTheirNamesSay(f *testing.F) {
	f.Add("a", "b", "a")
	f.Add("a", "b", "b")
	f.Add("a", "a", "a")
	f.Add("", "\x00", "\x00")
	f.Add("\xff", "", "\xff\xff")
	f.Add("a\x00", "a", "a\x00\x00")
	f.Add("/app/limits", "/app0", "/app/limits/")
	f.Fuzz(func(t *testing.T, a, b, key string) {
		before := func(x, y string) bool { return bytes.Compare([]byte(x), []byte(y)) < 0 }
		tests := []struct {
			r     kv.Range
			valid bool
			holds bool
		}{
			{kv.Key(a), a != "", key == a},
			{kv.Prefix(a), true, len(key) >= len(a) && key[:len(a)] == a},
			{kv.Interval(a, b), before(a, b), !before(key, a) && before(key, b)},
			{kv.All(), true, true},
			{kv.Range{}, false, false},
		}
		for _, test := range tests {
			if got := test.r.Validate() == nil; got != test.valid {
				t.Errorf("%v is valid: %t", test.r, got)
			}
			if got, want := test.r.Contains(key), test.holds && key != ""; got != want {
				t.Errorf("%v contains %q: %t", test.r, key, got)
			}
		}
		if got := kv.ValidateKey(key) == nil; got != (key != "") {
			t.Errorf("the key %q is valid: %t", key, got)
		}
	})
}

// FuzzTheEndOfAPrefixIsTight looks for keys between the last key of a prefix and the end that Bounds gives. There must be
// none.
func FuzzTheEndOfAPrefixIsTight(f *testing.F) {
	f.Add("a", uint8(3))
	f.Add("a\xff", uint8(1))
	f.Add("\xff\xff", uint8(2))
	f.Add("a\xfe\xff\xff", uint8(0))
	f.Fuzz(func(t *testing.T, prefix string, longer uint8) {
		_, to, bounded := kv.Prefix(prefix).Bounds()
		if onlyHighest := strings.Count(prefix, "\xff") == len(prefix); bounded == onlyHighest {
			t.Fatalf("the end of the prefix %q is %q, bounded: %t", prefix, to, bounded)
		}
		if !bounded {
			return
		}
		last := prefix + strings.Repeat("\xff", int(longer))
		if last >= to {
			t.Errorf("%q begins with %q and is not before its end, %q", last, prefix, to)
		}
		// The end does not begin with prefix. With its last byte lowered by one, the end is the beginning of prefix.
		lower := []byte(to)
		lower[len(lower)-1]--
		if strings.HasPrefix(to, prefix) || !strings.HasPrefix(prefix, string(lower)) {
			t.Errorf("the end of the prefix %q is %q", prefix, to)
		}
	})
}

// FuzzRangesDifferInTheirText checks that a message names a range so that it cannot be mistaken for another.
func FuzzRangesDifferInTheirText(f *testing.F) {
	f.Add(uint8(0), "a", "", uint8(1), "a", "")
	f.Add(uint8(2), "a", "b", uint8(2), "a\", \"b", "b")
	f.Add(uint8(3), "", "", uint8(0), "all keys", "")
	f.Add(uint8(1), "\xff", "", uint8(1), "\\xff", "")
	f.Fuzz(func(t *testing.T, kindA uint8, a1, a2 string, kindB uint8, b1, b2 string) {
		a, b := rangeOf(kindA, a1, a2), rangeOf(kindB, b1, b2)
		if (a == b) != (a.String() == b.String()) {
			t.Errorf("%#v and %#v are %v and %v", a, b, a, b)
		}
	})
}

func rangeOf(kind uint8, a, b string) kv.Range {
	return []kv.Range{kv.Key(a), kv.Prefix(a), kv.Interval(a, b), kv.All(), {}}[kind%5]
}
