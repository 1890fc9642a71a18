package value_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// settings has a field of each kind that decoding treats differently.
type settings struct {
	Name   string
	Rate   float64
	Count  *int
	On     bool
	Wait   time.Duration
	Peers  map[string][]netip.Addr
	Inside *settings
	Any    any
	Raw    json.RawMessage
}

// FuzzDecodersTellAndNeverPanic puts any bytes at any key, and reads them with each decoder.
func FuzzDecodersTellAndNeverPanic(f *testing.F) {
	f.Add("/app", []byte(`{"Name":"a","Rate":1.5,"Count":3,"On":true,"Peers":{"x":["10.0.0.1"]}}`))
	f.Add("\x00\xff", []byte(`{"Name":"a","Unknown":1}`))
	f.Add("a", []byte(`{"Name":"a"} {}`))
	f.Add("a/", []byte(`null`))
	f.Add(" ", []byte(`{"Inside":{"Inside":{"Inside":null}}}`))
	f.Add("k", []byte(`{"Name":"`+"\xff\xfe"+`"}`))
	f.Add("k", []byte("WARN+3"))
	f.Add("k", []byte("fe80::1%eth0"))
	f.Add("k", []byte{})
	f.Fuzz(func(t *testing.T, key string, stored []byte) {
		if key == "" {
			return
		}
		if v := read(t, key, stored, value.Bytes); v == nil || !bytes.Equal(*v, stored) {
			t.Errorf("the bytes of %q read as %v", stored, v)
		}
		if v := read(t, key, stored, value.String); v == nil || *v != string(stored) {
			t.Errorf("the string of %q reads as %v", stored, v)
		}
		var want *settings
		if v := new(settings); json.Unmarshal(stored, v) == nil {
			want = v
		}
		if got := read(t, key, stored, value.JSON[settings]); !reflect.DeepEqual(got, want) {
			t.Errorf("the JSON %q reads as %+v, want %+v", stored, got, want)
		}
		if got := read(t, key, stored, value.StrictJSON[settings]); got != nil && !reflect.DeepEqual(got, want) {
			t.Errorf("the strict JSON %q reads as %+v, JSON as %+v", stored, got, want)
		}
		var addr netip.Addr
		if got := read(t, key, stored, value.Text[netip.Addr]); (got != nil) != (addr.UnmarshalText(stored) == nil) || got != nil && *got != addr {
			t.Errorf("the address %q reads as %v, want %v", stored, got, addr)
		}
		var level slog.Level
		if got := read(t, key, stored, value.Text[slog.Level]); (got != nil) != (level.UnmarshalText(stored) == nil) || got != nil && *got != level {
			t.Errorf("the level %q reads as %v, want %v", stored, got, level)
		}
		if got := read(t, key, stored, panicky); (got != nil) != (len(stored) > 0 && stored[0] == 'p') {
			t.Errorf("%q reads as %v with a decoder that panics unless the value begins with p", stored, got)
		}
	})
}

// panicky panics for most bytes, in two ways.
func panicky(b []byte) (string, error) {
	if b[0] != 'p' {
		panic(b)
	}
	return string(b), nil
}

// read puts stored at key, and returns what a Value reads there. It returns nil for a decode error that names key and its revision.
func read[T any](t *testing.T, key string, stored []byte, decode func([]byte) (T, error)) *T {
	t.Helper()
	store := memory.New()
	revision, err := store.Put(t.Context(), key, stored)
	if err != nil {
		t.Fatal(err)
	}
	v, err := value.New(store, key, decode).Get(t.Context())
	var bad *value.DecodeError
	switch {
	case err == nil:
		return &v
	case !errors.As(err, &bad) || bad.Key != key || bad.Revision != revision || bad.Err == nil:
		t.Errorf("reading %q of %q at %d: %v", stored, key, revision, err)
	case !reflect.ValueOf(&v).Elem().IsZero():
		t.Errorf("reading %q gives an error and the value %v", stored, v)
	}
	return nil
}
