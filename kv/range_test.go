package kv_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
)

func TestRangeHoldsItsFirstKeyAndNotItsLast(t *testing.T) {
	leaktest.Check(t)
	tests := []struct {
		r       kv.Range
		in, out string // keys, separated by spaces
	}{
		{kv.Key("b"), "b", "a ba b\x00 c"},
		{kv.Prefix("b"), "b b\x00 ba b\xff b\xff\xff", "a a\xff c B"},
		{kv.Prefix("b\xff"), "b\xff b\xff\x00 b\xff\xff", "b b\xfe b\xfe\xff c"},
		{kv.Prefix("\xff\xff"), "\xff\xff \xff\xff\x00 \xff\xff\xff", "\xff \xff\xfe a"},
		{kv.Prefix(""), "\x00 a \xff", ""},
		{kv.Interval("b", "d"), "b b\x00 c c\xff", "a a\xff d d\x00 e"},
		{kv.Interval("", "b"), "\x00 a a\xff", "b c"},
		{kv.All(), "\x00 a \xff\xff", ""},
		{kv.Range{}, "", "\x00 a \xff"},
	}
	for _, test := range tests {
		for _, key := range strings.Fields(test.in) {
			if !test.r.Contains(key) {
				t.Errorf("%v does not contain %q", test.r, key)
			}
		}
		for _, key := range strings.Fields(test.out) {
			if test.r.Contains(key) {
				t.Errorf("%v contains %q", test.r, key)
			}
		}
		if test.r.Contains("") {
			t.Errorf("%v contains the empty key", test.r)
		}
	}
}

func TestBoundsAreTheSameKeysAsAnInterval(t *testing.T) {
	leaktest.Check(t)
	tests := []struct {
		r        kv.Range
		from, to string
		bounded  bool
	}{
		{kv.Key("b"), "b", "b\x00", true},
		{kv.Prefix("b"), "b", "c", true},
		{kv.Prefix("b\xff"), "b\xff", "c", true},
		{kv.Prefix("b\xff\xff"), "b\xff\xff", "c", true},
		{kv.Prefix("b\xfe"), "b\xfe", "b\xff", true},
		{kv.Prefix("\xff\xff"), "\xff\xff", "", false},
		{kv.Prefix(""), "", "", false},
		{kv.Interval("b", "d"), "b", "d", true},
		{kv.Interval("", "d"), "", "d", true},
		{kv.All(), "", "", false},
	}
	for _, test := range tests {
		from, to, bounded := test.r.Bounds()
		if from != test.from || to != test.to || bounded != test.bounded {
			t.Errorf("the bounds of %v are %q, %q, %t, want %q, %q, %t", test.r, from, to, bounded, test.from, test.to, test.bounded)
		}
	}
}

// Contains and Bounds are two descriptions of the same keys. A store may use either.
func FuzzContainsAgreesWithBounds(f *testing.F) {
	f.Add(uint8(0), "a", "b", "a")
	f.Add(uint8(1), "a\xff", "", "a\xff\x00")
	f.Add(uint8(1), "\xff\xff", "", "\xff\xff\xff")
	f.Add(uint8(1), "\xff", "", "\xfe\xff")
	f.Add(uint8(2), "", "b", "\x00")
	f.Add(uint8(2), "a", "b", "b")
	f.Add(uint8(3), "", "", "a")
	f.Fuzz(func(t *testing.T, kind uint8, a, b, key string) {
		r := []kv.Range{kv.Key(a), kv.Prefix(a), kv.Interval(a, b), kv.All()}[kind%4]
		if r.Validate() != nil || key == "" {
			return
		}
		from, to, bounded := r.Bounds()
		between := from <= key && (!bounded || key < to)
		if r.Contains(key) != between {
			t.Errorf("%v contains %q: %t; its bounds %q, %q, %t do: %t", r, key, r.Contains(key), from, to, bounded, between)
		}
		if one, ok := r.Key(); ok != (kind%4 == 0) || ok && !(r.Contains(one) && (one == key) == r.Contains(key)) {
			t.Errorf("the key of %v is %q, %t", r, one, ok)
		}
		if prefix, ok := r.Prefix(); ok != (kind%4 == 1 && a != "") || ok && prefix != a {
			t.Errorf("the prefix of %v is %q, %t", r, prefix, ok)
		}
	})
}

func TestRangesWithoutAnyKeyAreInvalid(t *testing.T) {
	leaktest.Check(t)
	tests := []struct {
		r    kv.Range
		want error
		text string
	}{
		{kv.Key("a"), nil, ""},
		{kv.Prefix("a"), nil, ""},
		{kv.Prefix(""), nil, ""},
		{kv.All(), nil, ""},
		{kv.Interval("a", "a\x00"), nil, ""},
		{kv.Interval("", "a"), nil, ""},
		{kv.Key(""), kv.ErrInvalidKey, "invalid key: the empty key"},
		{kv.Interval("a", "a"), kv.ErrInvalidRange, `invalid range: from "a" is not before to "a"`},
		{kv.Interval("b", "a"), kv.ErrInvalidRange, `invalid range: from "b" is not before to "a"`},
		{kv.Interval("", ""), kv.ErrInvalidRange, `invalid range: from "" is not before to ""`},
		{kv.Range{}, kv.ErrInvalidRange, "invalid range: the zero Range; use Key, Prefix, Interval or All"},
	}
	for _, test := range tests {
		err := test.r.Validate()
		if !errors.Is(err, test.want) || err != nil && err.Error() != test.text {
			t.Errorf("%v: %v, want %q", test.r, err, test.text)
		}
	}
}

func TestRangesAreComparedByValueAndPrintedForPeople(t *testing.T) {
	leaktest.Check(t)
	same := [][2]kv.Range{{kv.Key("a"), kv.Key("a")}, {kv.Prefix(""), kv.All()}, {kv.Interval("a", "b"), kv.Interval("a", "b")}}
	for _, pair := range same {
		if pair[0] != pair[1] {
			t.Errorf("%v and %v differ", pair[0], pair[1])
		}
	}
	different := []kv.Range{{}, kv.Key("a"), kv.Prefix("a"), kv.Interval("a", "b"), kv.Interval("a", "c"), kv.All()}
	texts := []string{"no range", `"a"`, `"a"*`, `["a", "b")`, `["a", "c")`, "all keys"}
	seen := make(map[kv.Range]bool)
	for i, r := range different {
		if seen[r] {
			t.Errorf("%v is the same as another", r)
		}
		seen[r] = true
		if r.String() != texts[i] {
			t.Errorf("%v, want %s", r, texts[i])
		}
	}
}
