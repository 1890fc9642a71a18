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

// safely calls decode and turns an error, or a panic, into a *DecodeError for e.
func safely[T any](decode func([]byte) (T, error), e kv.Entry) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			cause, ok := p.(error)
			if !ok {
				cause = fmt.Errorf("%v", p)
			}
			var zero T
			v = zero
			err = &DecodeError{Key: e.Key, Revision: e.ModRevision, Stack: debug.Stack(),
				Err: fmt.Errorf("the decoder panicked: %w", cause)}
		}
	}()
	v, err = decode(e.Value)
	if err != nil {
		var zero T
		return zero, &DecodeError{Key: e.Key, Revision: e.ModRevision, Err: err}
	}
	return v, nil
}
