package value

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// source is where a Value comes from, and how it is shown. It does not change.
type source[T any] struct {
	store   kv.Store
	subject *upstream.Subject
	face    face[T]
	config  config
	misuse  error // why nothing can work, which every Get returns; nil if all arguments are right
}

// newSource returns the source that the function of a name was asked for. wrong is what it has found wrong with its arguments.
func newSource[T any](name string, store kv.Store, subject *upstream.Subject, face face[T], c config, wrong error) source[T] {
	s := source[T]{store: store, subject: subject, face: face, config: c}
	if wrong == nil {
		wrong = c.validate(store, subject.Range)
	}
	if wrong != nil {
		s.misuse = misuse{fmt.Errorf("value: %s(%v): %w", name, subject.Range, wrong)}
	}
	return s
}

func (c *config) validate(store kv.Store, r kv.Range) error {
	switch {
	case store == nil:
		return errors.New("nil store")
	case c.RetryFirst <= 0 || c.RetryMost < c.RetryFirst:
		return fmt.Errorf("WithRetry(%v, %v): want 0 < first <= most", c.RetryFirst, c.RetryMost)
	case c.CheckEvery < 0:
		return fmt.Errorf("WithCheck(%v): negative", c.CheckEvery)
	case c.MaxStaleness != 0 && c.MaxStaleness < upstream.LeastStaleness:
		return fmt.Errorf("WithMaxStaleness(%v): want 0 or at least %v, as a read takes its time", c.MaxStaleness, upstream.LeastStaleness)
	case c.backlog < 1:
		return fmt.Errorf("WithBacklog(%d): want at least 1", c.backlog)
	case c.keepsLastKnown && (c.lastKnown == nil || c.lastKnownAfter < 0):
		return fmt.Errorf("WithLastKnown(%v, %v): want something that keeps it, and a time of at least 0", c.lastKnown, c.lastKnownAfter)
	}
	return r.Validate()
}

// defaultOf returns the value of [WithDefault], or the zero value.
func defaultOf[T any](c *config) (fallback T, err error) {
	if !c.hasFallback {
		return fallback, nil
	}
	fallback, ok := c.fallback.(T)
	if want := reflect.TypeFor[T](); !ok && (c.fallback != nil || want.Kind() != reflect.Interface) {
		return fallback, fmt.Errorf("WithDefault: got %T, want %v", c.fallback, want)
	}
	return fallback, nil
}

// key is the key. It is empty if the subject is a range of keys.
func (s *source[T]) key() string {
	key, _ := s.subject.Key()
	return key
}

// isValue reports whether u shows a value: the default counts as one, and an absence, a deletion or a bad value does not.
func (s *source[T]) isValue(u *update[T]) bool { return u.err == nil && s.exists(u) }

// exists reports whether u shows that the key exists, or that the default stands in for it.
func (s *source[T]) exists(u *update[T]) bool { return u.Present || s.config.hasFallback }
