package value

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/watchkv/watchkv/kv"
)

// Bytes decodes to the bytes themselves.
func Bytes(b []byte) ([]byte, error) { return b, nil }

// String decodes to a string of the same bytes.
func String(b []byte) (string, error) { return string(b), nil }

// JSON decodes one JSON value, as [encoding/json.Unmarshal] does.
func JSON[T any](b []byte) (T, error) {
	var v T
	err := json.Unmarshal(b, &v)
	return v, err
}

// StrictJSON is [JSON] that refuses object members that T has no field for.
func StrictJSON[T any](b []byte) (T, error) {
	var v T
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, err
	}
	if _, err := d.Token(); err != io.EOF {
		return v, errors.New("more than one JSON value")
	}
	return v, nil
}

// Text decodes any type that decodes itself from text: value.Text[netip.Addr], value.Text[slog.Level].
func Text[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](b []byte) (T, error) {
	var v T
	err := P(&v).UnmarshalText(b)
	return v, err
}

// decodeEntry decodes the value of e. The error is a *DecodeError.
func decodeEntry[T any](decode func([]byte) (T, error), e kv.Entry) (T, error) {
	return errorOf(safely(func() (T, error) { return decode(e.Value) }, DecodeError{Key: e.Key, Range: kv.Key(e.Key), Revision: e.ModRevision}))
}

// safely calls decode and turns an error, or a panic, into a *DecodeError like about.
func safely[T any](decode func() (T, error), about DecodeError) (v T, bad *DecodeError) {
	defer func() {
		if p := recover(); p != nil {
			cause, ok := p.(error)
			if !ok {
				cause = fmt.Errorf("%v", p)
			}
			var zero T
			v = zero
			failed := about // not about itself, which would take memory for each good value
			failed.Stack, failed.Err = debug.Stack(), fmt.Errorf("the decoder panicked: %w", cause)
			bad = &failed
		}
	}()
	v, err := decode()
	if err != nil {
		var zero T
		failed := about
		failed.Err = err
		return zero, &failed
	}
	return v, nil
}

// errorOf is v with bad as an error, which is nil if bad is.
func errorOf[T any](v T, bad *DecodeError) (T, error) {
	if bad == nil {
		return v, nil
	}
	return v, bad
}
